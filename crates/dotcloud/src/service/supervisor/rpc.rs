//! XML-RPC with supervisord: one connection, one question, one answer. Whoever owns the socket may
//! be hostile: an answer is limited in time, length and depth, and nothing in it is executed.

use std::fmt::Write as _;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use roxmltree::{Document, Node};
use thiserror::Error;

/// Some hundred programs' worth.
const LENGTH_LIMIT: u64 = 1 << 20;
/// supervisord's own answers have five levels.
const DEPTH_LIMIT: u8 = 8;

/// An argument or an answer, of the types that supervisord uses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    Text(String),
    Number(i64),
    Flag(bool),
    List(Vec<Value>),
    Record(Vec<(String, Value)>),
}

impl Value {
    pub(super) fn list(&self) -> &[Value] {
        match self {
            Self::List(values) => values,
            _ => &[],
        }
    }

    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn number(&self) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// A member of a record.
    pub(super) fn get(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Record(members) => members
                .iter()
                .find_map(|(key, value)| (key == name).then_some(value)),
            _ => None,
        }
    }
}

/// Has `method` called by who is at the other end of `stream`, within `limit`.
pub(super) fn call(
    mut stream: UnixStream,
    method: &str,
    arguments: &[Value],
    limit: Duration,
) -> Result<Value, RpcError> {
    let deadline = Instant::now() + limit;
    let talk = |source: io::Error| match source.kind() {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => RpcError::Silent,
        _ => RpcError::Talk { source },
    };
    stream.set_write_timeout(Some(limit)).map_err(talk)?;
    stream
        .write_all(request(method, arguments).as_bytes())
        .map_err(talk)?;
    let answer = read(&mut stream, deadline).map_err(talk)?;
    understand(&answer)
}

/// Version 1.0, in which the end of the answer is the end of the connection.
fn request(method: &str, arguments: &[Value]) -> String {
    let mut body = format!("<methodCall><methodName>{method}</methodName><params>");
    for argument in arguments {
        let _ = match argument {
            Value::Flag(flag) => write!(
                body,
                "<param><value><boolean>{}</boolean></value></param>",
                u8::from(*flag)
            ),
            // Names of programs, which need no escapes.
            Value::Text(text) => write!(body, "<param><value>{text}</value></param>"),
            Value::Number(_) | Value::List(_) | Value::Record(_) => Ok(()),
        };
    }
    body.push_str("</params></methodCall>");
    format!(
        "POST /RPC2 HTTP/1.0\r\nContent-Type: text/xml\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

fn read(stream: &mut UnixStream, deadline: Instant) -> io::Result<Vec<u8>> {
    let mut answer = Vec::new();
    let mut part = [0; 4096];
    while answer.len() as u64 <= LENGTH_LIMIT {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut part) {
            Ok(0) => return Ok(answer),
            Ok(length) => answer.extend_from_slice(&part[..length]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Err(ErrorKind::FileTooLarge.into())
}

fn understand(answer: &[u8]) -> Result<Value, RpcError> {
    let strange = || RpcError::Strange {
        answer: String::from_utf8_lossy(&answer[..answer.len().min(60)]).into_owned(),
    };
    let text = std::str::from_utf8(answer).map_err(|_| strange())?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or_else(strange)?;
    if !head
        .lines()
        .next()
        .is_some_and(|status| status.contains(" 200 "))
    {
        return Err(strange());
    }
    let document = Document::parse(body).map_err(|_| strange())?;
    let response = document.root_element();
    if let Some(fault) = child(response, "fault") {
        let fault = child(fault, "value").and_then(|node| value(node, DEPTH_LIMIT));
        let text = fault
            .as_ref()
            .and_then(|fault| fault.get("faultString")?.text());
        return Err(RpcError::Fault {
            text: text.ok_or_else(strange)?.to_owned(),
        });
    }
    child(response, "params")
        .and_then(|node| child(node, "param"))
        .and_then(|node| child(node, "value"))
        .and_then(|node| value(node, DEPTH_LIMIT))
        .ok_or_else(strange)
}

fn value(node: Node<'_, '_>, depth: u8) -> Option<Value> {
    let depth = depth.checked_sub(1)?;
    let text = |node: Node<'_, '_>| node.text().unwrap_or_default().to_owned();
    // Without a type it is a string.
    let Some(typed) = node.first_element_child() else {
        return Some(Value::Text(text(node)));
    };
    Some(match typed.tag_name().name() {
        "string" => Value::Text(text(typed)),
        "int" | "i4" => Value::Number(text(typed).parse().ok()?),
        "boolean" => Value::Flag(text(typed) == "1"),
        "array" => {
            let values = child(typed, "data")?.children().filter(Node::is_element);
            Value::List(
                values
                    .map(|node| value(node, depth))
                    .collect::<Option<_>>()?,
            )
        }
        "struct" => {
            let members = typed.children().filter(Node::is_element);
            let member = |node| {
                Some((
                    text(child(node, "name")?),
                    value(child(node, "value")?, depth)?,
                ))
            };
            Value::Record(members.map(member).collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

fn child<'a, 'input>(node: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    node.children().find(|child| child.has_tag_name(name))
}

/// supervisord does not do what it was asked.
#[derive(Debug, Error)]
pub(crate) enum RpcError {
    #[error("supervisord does not answer")]
    Silent,
    #[error("the connection to supervisord broke")]
    Talk { source: io::Error },
    #[error("what answers is no supervisord: {answer:?}")]
    Strange { answer: String },
    #[error("supervisord answers {text}")]
    Fault { text: String },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(body: &str) -> Vec<u8> {
        format!("HTTP/1.0 200 OK\r\nContent-Type: text/xml\r\n\r\n{body}").into_bytes()
    }

    #[test]
    fn request_has_typed_arguments_and_its_length() {
        let arguments = [Value::Text("db".to_owned()), Value::Flag(false)];
        let text = request("supervisor.stopProcess", &arguments);
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("\r\nContent-Length: {}", body.len())));
        assert_eq!(
            body,
            "<methodCall><methodName>supervisor.stopProcess</methodName><params>\
             <param><value>db</value></param>\
             <param><value><boolean>0</boolean></value></param></params></methodCall>"
        );
    }

    #[test]
    fn understand_reads_every_type() {
        let body = "<?xml version='1.0'?>\n<methodResponse>\n<params>\n<param>\n<value><array><data>\n\
            <value><struct>\n<member>\n<name>name</name>\n<value><string>a &amp; b</string></value>\n\
            </member>\n<member>\n<name>pid</name>\n<value><int>12</int></value>\n</member>\n\
            </struct></value>\n<value><boolean>1</boolean></value>\n<value></value>\n\
            </data></array></value>\n</param>\n</params>\n</methodResponse>";
        let value = understand(&answer(body)).unwrap();
        let [record, flag, empty] = value.list() else {
            panic!("{value:?}");
        };
        assert_eq!(record.get("name").and_then(Value::text), Some("a & b"));
        assert_eq!(record.get("pid").and_then(Value::number), Some(12));
        assert_eq!(record.get("else"), None);
        assert_eq!(flag, &Value::Flag(true));
        assert_eq!(empty, &Value::Text(String::new()));
    }

    #[test]
    fn rpc_errors_have_exact_texts() {
        let text = |answer: &[u8]| understand(answer).unwrap_err().to_string();
        let fault = "<methodResponse><fault><value><struct>\
             <member><name>faultCode</name><value><int>6</int></value></member>\
             <member><name>faultString</name><value>SHUTDOWN_STATE</value></member>\
             </struct></value></fault></methodResponse>";
        assert_eq!(text(&answer(fault)), "supervisord answers SHUTDOWN_STATE");
        assert_eq!(
            text(b"SSH-2.0\r\n"),
            r#"what answers is no supervisord: "SSH-2.0\r\n""#
        );
        let deep = format!(
            "<methodResponse><params><param>{}{}</param></params></methodResponse>",
            "<value><array><data>".repeat(9),
            "</data></array></value>".repeat(9)
        );
        for strange in [
            answer("<methodResponse>"),
            answer("<methodResponse/>"),
            answer(&deep),
            b"HTTP/1.0 401 Unauthorized\r\n\r\n".to_vec(),
            b"HTTP/1.0 200 OK\r\n\r\n\xff".to_vec(),
            Vec::new(),
        ] {
            let error = understand(&strange).unwrap_err();
            assert!(matches!(error, RpcError::Strange { .. }), "{error}");
        }
        assert_eq!(RpcError::Silent.to_string(), "supervisord does not answer");
        let source = || io::Error::other("x");
        assert_eq!(
            RpcError::Talk { source: source() }.to_string(),
            "the connection to supervisord broke"
        );
    }

    #[test]
    fn call_answer_without_an_end_is_cut() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let endless = std::thread::spawn(move || while theirs.write_all(&[b' '; 4096]).is_ok() {});
        let error = call(ours, "x", &[], Duration::from_mins(1)).unwrap_err();
        assert!(matches!(error, RpcError::Talk { .. }), "{error}");
        endless.join().unwrap();
    }

    #[test]
    fn call_answer_that_trickles_in_is_given_up() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        let slow = std::thread::spawn(move || {
            while theirs.write_all(b" ").is_ok() {
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        let error = call(ours, "x", &[], Duration::from_millis(300)).unwrap_err();
        assert!(matches!(error, RpcError::Silent), "{error}");
        slow.join().unwrap();
    }
}
