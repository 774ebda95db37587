//! An image from a snapshot: the same bytes every time, its layers, its configuration, no secret.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;

use serde_json::Value;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::*;
use crate::build_file::BuildFile;

const YML: &str = "db:
  type: custom
  process: ~/start
  ports: {sql: tcp}
  environment: {MODE: fast}
  config: {size: 1G}
  image:
    layers: [big]
    writable: [run]
    without: [not, /no/*]
    ports: {sql: 3306}
    environment: {BIND: 0.0.0.0}
    healthcheck: ~/look ready
";

fn service(text: &str) -> Service {
    let file = BuildFile::parse(Path::new("dotcloud.yml"), text).unwrap();
    file.services.into_values().next().unwrap()
}

/// A snapshot with files of these modes, and a root file system.
fn inputs(start: &str) -> (TempDir, PathBuf, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let (snapshot, base) = (dir.path().join("s.tar.zst"), dir.path().join("base.tar"));
    let mut tar =
        tar::Builder::new(zstd::Encoder::new(File::create(&snapshot).unwrap(), 1).unwrap());
    for (name, mode, content) in [
        ("big/data", 0o600, "x"),
        ("not/needed", 0o600, "x"),
        ("start", 0o700, start),
    ] {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode);
        header.set_size(content.len() as u64);
        header.set_mtime(123);
        tar.append_data(&mut header, name, content.as_bytes())
            .unwrap();
    }
    let mut header = tar::Header::new_gnu();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_mode(0o777);
    header.set_size(0);
    tar.append_link(&mut header, "link", "big/data").unwrap();
    tar.into_inner().unwrap().finish().unwrap();
    let mut tar = tar::Builder::new(File::create(&base).unwrap());
    let mut header = tar::Header::new_gnu();
    header.set_uid(0);
    header.set_gid(0);
    header.set_mode(0o4755);
    header.set_size(2);
    tar.append_data(&mut header, "./bin/sh", &b"sh"[..])
        .unwrap();
    tar.finish().unwrap();
    (dir, snapshot, base)
}

fn made(start: &str, yml: &str) -> (TempDir, Made, PathBuf) {
    let (dir, snapshot, base) = inputs(start);
    let source = Source {
        service: &service(yml),
        snapshot: &snapshot,
        base: Some(&base),
        cache: dir.path(),
    };
    let out = dir.path().join("image.tar");
    let tags = ["me/db:1", "localhost/db"].map(|tag| tag.parse().unwrap());
    let made = make(&source, &tags, &out).unwrap();
    (dir, made, out)
}

fn files(archive: impl Read) -> BTreeMap<String, (u32, Vec<u8>)> {
    let mut archive = tar::Archive::new(archive);
    let mut files = BTreeMap::new();
    for entry in archive.entries().unwrap() {
        let mut entry = entry.unwrap();
        assert_eq!(entry.header().mtime().unwrap(), 0);
        let name = entry.path().unwrap().display().to_string();
        let mode = entry.header().mode().unwrap();
        let mut content = Vec::new();
        entry.read_to_end(&mut content).unwrap();
        assert!(files.insert(name, (mode, content)).is_none(), "twice");
    }
    files
}

#[test]
fn make_same_inputs_give_the_same_file_and_a_change_the_rest_only() {
    let (_one, first, file) = made("a", YML);
    let (_two, second, again) = made("a", YML);
    assert_eq!(first.digest, second.digest);
    assert_eq!(fs::read(file).unwrap(), fs::read(again).unwrap());
    let (_three, changed, _) = made("bcd", YML);
    assert_ne!(first.digest, changed.digest);
    let names: Vec<&str> = first.layers.iter().map(|(what, _)| &**what).collect();
    assert_eq!(names, ["the base", "big", "the rest"]);
    assert_eq!(first.layers[..2], changed.layers[..2]);
}

#[test]
fn make_layout_leads_from_either_index_to_the_layers() {
    let (_dir, made, out) = made("a", YML);
    let all = files(File::open(out).unwrap());
    let json = |name: &str| serde_json::from_slice::<Value>(&all[name].1).unwrap();
    for (name, (_, content)) in &all {
        if let Some(digest) = name.strip_prefix("blobs/sha256/") {
            assert_eq!(hook::hexadecimal(&Sha256::digest(content)), digest);
        }
    }
    assert_eq!(json("oci-layout")["imageLayoutVersion"], "1.0.0");
    let index = json("index.json");
    let manifests = index["manifests"].as_array().unwrap();
    assert_eq!(manifests.len(), 2);
    assert_eq!(manifests[0]["digest"], *made.digest);
    assert_eq!(
        manifests[0]["annotations"]["io.containerd.image.name"],
        "docker.io/me/db:1"
    );
    let blob = |digest: &Value| digest.as_str().unwrap().replace(':', "/");
    let manifest = json(&format!("blobs/{}", blob(&manifests[0]["digest"])));
    let docker = &json("manifest.json")[0];
    assert_eq!(
        docker["RepoTags"],
        serde_json::json!(["me/db:1", "localhost/db:latest"])
    );
    let config = format!("blobs/{}", blob(&manifest["config"]["digest"]));
    assert_eq!(docker["Config"], *config);
    let layers = manifest["layers"].as_array().unwrap();
    assert_eq!(docker["Layers"].as_array().unwrap().len(), layers.len());
    let config = json(&config);
    for (index, layer) in layers.iter().enumerate() {
        let name = format!("blobs/{}", blob(&layer["digest"]));
        assert_eq!(docker["Layers"][index], *name);
        let mut plain = Vec::new();
        let mut gzip = flate2::read::MultiGzDecoder::new(&all[&name].1[..]);
        gzip.read_to_end(&mut plain).unwrap();
        let digest = format!("sha256:{}", hook::hexadecimal(&Sha256::digest(&plain)));
        assert_eq!(config["rootfs"]["diff_ids"][index], *digest);
    }
}

/// As others read it.
#[test]
fn make_oci_spec_and_skopeo_take_it() {
    let (_dir, made, out) = made("a", YML);
    let all = files(File::open(&out).unwrap());
    let blob =
        |digest: &oci_spec::image::Digest| &all[&format!("blobs/sha256/{}", digest.digest())].1[..];
    let index = oci_spec::image::ImageIndex::from_reader(&all["index.json"].1[..]).unwrap();
    let manifest = &index.manifests()[0];
    let manifest = oci_spec::image::ImageManifest::from_reader(blob(manifest.digest())).unwrap();
    let config = manifest.config();
    let config = oci_spec::image::ImageConfiguration::from_reader(blob(config.digest())).unwrap();
    assert_eq!(config.rootfs().diff_ids().len(), manifest.layers().len());
    assert_eq!(
        config.history().as_ref().unwrap().len(),
        manifest.layers().len()
    );
    for layer in manifest.layers() {
        assert_eq!(layer.size(), blob(layer.digest()).len() as u64);
    }
    let skopeo = |format: &str, from: &str| {
        let mut command = std::process::Command::new("skopeo");
        command.args(["inspect", "--format", format]);
        // Of several names it wants one.
        let path = out.display();
        command
            .arg(format!("{from}:{path}:docker.io/me/db:1"))
            .output()
    };
    let Ok(digest) = skopeo("{{.Digest}}", "oci-archive") else {
        eprintln!("SKIPPED: skopeo is not installed, so nobody else read the image");
        return;
    };
    let said = |output: std::process::Output| {
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(said(digest), made.digest);
    let layers = skopeo("{{len .Layers}} {{.Os}}", "docker-archive").unwrap();
    assert_eq!(said(layers), "3 linux");
}

#[test]
fn make_configuration_says_what_dotcloud_yml_says() {
    let (_dir, _, out) = made("a", YML);
    let all = files(File::open(out).unwrap());
    let docker: Value = serde_json::from_slice(&all["manifest.json"].1).unwrap();
    let config = &all[docker[0]["Config"].as_str().unwrap()].1;
    let config: Value = serde_json::from_slice(config).unwrap();
    assert_eq!(
        config["config"],
        serde_json::json!({
            "Entrypoint": ["/home/dotcloud/start"],
            "Env": [
                "BIND=0.0.0.0",
                "HOME=/home/dotcloud",
                "MODE=fast",
                "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                "PORT_SQL=3306",
                "SERVICE_CONFIG_SIZE=1G",
            ],
            "ExposedPorts": {"3306/tcp": {}},
            "Healthcheck": {
                "Test": ["CMD", "/home/dotcloud/look", "ready"],
                "Interval": 10_000_000_000_u64,
                "Timeout": 10_000_000_000_u64,
                "StartPeriod": 60_000_000_000_u64,
                "Retries": 3,
            },
            "StopSignal": "SIGTERM",
            "User": "1000:1000",
            "Volumes": {"/home/dotcloud/data": {}},
            "WorkingDir": "/home/dotcloud",
        })
    );
    let modes: BTreeMap<String, u32> = docker[0]["Layers"]
        .as_array()
        .unwrap()
        .iter()
        .flat_map(|name| {
            let layer = &all[name.as_str().unwrap()].1[..];
            files(flate2::read::MultiGzDecoder::new(layer))
        })
        .map(|(name, (mode, _))| (name, mode))
        .collect();
    assert!(modes.keys().all(|name| !name.contains("not")));
    for (name, mode) in [
        ("bin/sh", 0o755),
        ("home/dotcloud/big/data", 0o644),
        ("home/dotcloud/data", 0o1777),
        ("home/dotcloud/run", 0o1777),
        ("home/dotcloud/start", 0o755),
    ] {
        assert_eq!(modes[name], mode, "{name}");
    }
}

#[test]
fn leaves_out_table() {
    let yml = "db:\n  type: custom\n  image: {without: [a/b, /usr/lib/*/gconv]}\n";
    let settings = Plan::of(&service(yml)).unwrap().settings;
    for (path, of_home, of_base) in [
        ("a/b", true, false),
        ("a/b/c", true, false),
        ("a", false, false),
        ("a/bc", false, false),
        ("usr/lib/x/gconv/UTF-7.so", false, true),
        ("usr/lib/gconv", false, false),
    ] {
        let path = Path::new(path);
        assert_eq!(settings.leaves_out(path), of_home, "{path:?}");
        assert_eq!(settings.leaves_out_of_base(path), of_base, "{path:?}");
    }
}

#[test]
fn make_what_dotcloud_yml_lacks_has_exact_texts() {
    let head = "db:\n  type: custom\n  ports: {sql: tcp}\n";
    for (keys, text, next) in [
        (
            "",
            "dotcloud.yml gives port 'sql' of the service 'db' no number in an image",
            "say it below the service (image: {ports: {sql: 3306}}), push again",
        ),
        (
            "  image: {port: 1}\n",
            "cannot use what dotcloud.yml says below 'image' of the service 'db'",
            "say layers, writable, packages, without (lists), ports, environment (mappings) and healthcheck (a \
             command) there, and nothing else; push again",
        ),
        (
            "  process: a | b\n",
            "'a | b' needs a shell, which an image may not have",
            "put the line into a script that is pushed, and name that; push again",
        ),
    ] {
        let error = Plan::of(&service(&format!("{head}{keys}"))).unwrap_err();
        assert_eq!(error.to_string(), text);
        let error = crate::error::Error::from(error);
        assert_eq!(hook::Explain::advice(&error).next, next);
    }
}

#[test]
fn errors_have_exact_texts() {
    let path = || PathBuf::from("/x");
    let service = || "db".to_owned();
    for (error, text) in [
        (
            ImageError::NotBuilt { service: service() },
            "the service 'db' was not built yet",
        ),
        (
            ImageError::Gone { path: path() },
            "the snapshot /x is not there any more",
        ),
        (
            BaseError::NoMirror.into(),
            "apt on this machine names no mirror of its own Debian release",
        ),
        (
            BaseError::NoDigest {
                package: "p".into(),
            }
            .into(),
            "the package index has no SHA-256 for p",
        ),
        (
            BaseError::Damaged { path: path() }.into(),
            "/x is not what the signed package index says",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
}
