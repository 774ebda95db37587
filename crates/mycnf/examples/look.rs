fn main() {
    for d in std::env::args().skip(1) {
        let p = std::path::Path::new(&d);
        println!(
            "{d} {:?} {:?}",
            mycnf::inspect(p).unwrap(),
            mycnf::last_shutdown(p).unwrap()
        );
    }
}
