//! Everything that knows MySQL.
