//! `repack fetch` over https: whom it believes, and that it stays there.

use std::fs;
use std::process::Output;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;

use crate::fetch::{NAME, body, case};
use crate::server::{Reply, Server, proper, response};
use crate::{Case, text};

/// A server for 127.0.0.1, and the certificate of the organisation that vouches for it.
fn server(
    name: &str,
    reply: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static,
) -> (Server, String) {
    let mut organisation = CertificateParams::new([]).unwrap();
    organisation
        .distinguished_name
        .push(DnType::CommonName, name);
    organisation.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let issuer = CertifiedIssuer::self_signed(organisation, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
    let certificate = server.signed_by(&key, &issuer).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let tls = ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    let content = body(100_000);
    let server = Server::with_tls(tls, move |request, _| {
        let answer = reply(&request.path);
        Reply::Send(answer.unwrap_or_else(|| proper(&content, "\"1\"", request)))
    });
    (server, issuer.pem())
}

fn fetch(case: &Case, server: &Server, trusted: &str) -> Output {
    let trust = case.path("trusted.pem");
    fs::write(&trust, trusted).unwrap();
    let output = case
        .command()
        .env("SSL_CERT_FILE", &trust)
        .args(["fetch", &server.url("/my-1.tar.gz")])
        .output()
        .unwrap();
    fs::remove_file(trust).unwrap();
    output
}

#[test]
fn server_of_an_organisation_that_is_trusted_is_believed() {
    let (server, organisation) = server("known", |_| None);
    let case = case();
    let output = fetch(&case, &server, &organisation);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(fs::read(case.path(NAME)).unwrap() == body(100_000));
}

#[test]
fn server_of_nobody_known_is_refused_at_once() {
    let (server, _) = server("nobody", |_| None);
    let (_, another) = self::server("known", |_| None);
    let case = case();
    // Where nobody is named, those that came with repack are known.
    for trusted in [another.as_str(), ""] {
        let output = fetch(&case, &server, trusted);
        let url = server.url("/my-1.tar.gz");
        assert_eq!(
            text(&output.stderr),
            format!(
                "repack: error: cannot fetch {url}\n  \
                 cause: invalid peer certificate: UnknownIssuer\n  \
                 next: install ca-certificates, or name your organisation's certificates in \
                 SSL_CERT_FILE\n"
            )
        );
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(case.files(), [""; 0]);
    }
}

#[test]
fn redirect_away_from_https_is_refused() {
    let plain = Server::well_behaved(&body(1000));
    let location = format!("Location: {}", plain.url("/my-1.tar.gz"));
    let (server, organisation) = server("known", move |_| {
        let headers = [location.as_str(), "Content-Length: 0"];
        Some(response("302 Found", &headers, b""))
    });
    let case = case();
    let output = fetch(&case, &server, &organisation);
    let url = server.url("/my-1.tar.gz");
    assert_eq!(
        text(&output.stderr),
        format!(
            "repack: error: cannot fetch {url}\n  cause: it leads to a server without TLS\n  \
             next: pass the URL that it leads to, with --sha256 from a page you trust\n"
        )
    );
    assert_eq!(case.files(), [""; 0]);
    assert_eq!(plain.requests(), []);
}
