//! The file: an OCI layout that Docker's `load` reads too, as one tar archive.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use hook::hexadecimal;
use oci_spec::OciSpecError;
use oci_spec::image::{
    Arch, ConfigBuilder, Descriptor, HistoryBuilder, ImageConfigurationBuilder, ImageIndexBuilder,
    ImageManifestBuilder, MediaType, OciLayoutBuilder, Os, RootFsBuilder, Sha256Digest,
};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::layer::Layer;
use super::plan::{HOME, Plan, USER};
use super::tag::Tag;

/// Pictures show their age; this one has none.
const CREATED: &str = "1970-01-01T00:00:00Z";

const SECOND: u64 = 1_000_000_000;

/// An image that is complete but for its file.
pub(crate) struct Image {
    layers: Vec<Layer>,
    config: Vec<u8>,
    manifest: Vec<u8>,
}

impl Image {
    /// `layers` from the lowest up, run as `plan` says.
    pub(crate) fn new(plan: &Plan, layers: Vec<Layer>) -> Result<Self, OciSpecError> {
        let config = configuration(plan, &layers)?;
        let mut descriptors = Vec::new();
        for layer in &layers {
            descriptors.push(descriptor(
                MediaType::ImageLayerGzip,
                &layer.digest,
                layer.size,
            )?);
        }
        let manifest = ImageManifestBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageManifest)
            .config(of_blob(MediaType::ImageConfig, &config)?)
            .layers(descriptors)
            .build()?;
        Ok(Self {
            layers,
            config,
            manifest: bytes(&manifest)?,
        })
    }

    /// The image's digest, `sha256:…`.
    pub(crate) fn digest(&self) -> String {
        format!("sha256:{}", sha256(&self.manifest))
    }

    /// Writes it to `out`, called by each of `tags`.
    pub(crate) fn write(&self, tags: &[Tag], out: impl Write) -> Result<(), OciSpecError> {
        let mut tar = Builder::new(out);
        let layout = OciLayoutBuilder::default()
            .image_layout_version("1.0.0")
            .build()?;
        let mut manifests = Vec::new();
        for tag in tags {
            let mut manifest = of_blob(MediaType::ImageManifest, &self.manifest)?;
            manifest.set_annotations(Some(tag.annotations()));
            manifests.push(manifest);
        }
        let index = ImageIndexBuilder::default()
            .schema_version(2_u32)
            .media_type(MediaType::ImageIndex)
            .manifests(manifests)
            .build()?;
        let blob = |digest: &str| format!("blobs/sha256/{digest}");
        let docker = json!([{
            "Config": blob(&sha256(&self.config)),
            "RepoTags": tags.iter().map(Tag::given).collect::<Vec<_>>(),
            "Layers": self.layers.iter().map(|layer| blob(&layer.digest)).collect::<Vec<_>>(),
        }]);
        let mut add = |name: &str, bytes: &[u8]| append(&mut tar, name, bytes.len() as u64, bytes);
        add("oci-layout", &bytes(&layout)?)?;
        add("index.json", &bytes(&index)?)?;
        add("manifest.json", &bytes(&docker)?)?;
        for content in [&self.config, &self.manifest] {
            add(&blob(&sha256(content)), content)?;
        }
        let mut seen = Vec::new();
        for layer in &self.layers {
            if seen.contains(&&layer.digest) {
                continue;
            }
            seen.push(&layer.digest);
            append(
                &mut tar,
                &blob(&layer.digest),
                layer.size,
                again(&layer.file)?,
            )?;
        }
        Ok(tar.into_inner()?.flush()?)
    }

    pub(crate) fn layers(&self) -> &[Layer] {
        &self.layers
    }
}

/// The file from its beginning.
fn again(file: &File) -> io::Result<File> {
    use std::io::Seek;
    let mut file = file.try_clone()?;
    file.rewind()?;
    Ok(file)
}

fn configuration(plan: &Plan, layers: &[Layer]) -> Result<Vec<u8>, OciSpecError> {
    let config = ConfigBuilder::default()
        .user(format!("{USER}:{USER}"))
        .exposed_ports(plan.ports.clone())
        .env(plan.environment.clone())
        .entrypoint(plan.entrypoint.clone())
        .volumes(vec![format!("{HOME}/data")])
        .working_dir(HOME)
        .stop_signal("SIGTERM")
        .build()?;
    let mut history = Vec::new();
    for layer in layers {
        let entry = HistoryBuilder::default()
            .created(CREATED)
            .created_by(format!("dotcloud image: {}", layer.what))
            .build()?;
        history.push(entry);
    }
    let diff_ids: Vec<String> = layers
        .iter()
        .map(|layer| format!("sha256:{}", layer.diff_id))
        .collect();
    let image = ImageConfigurationBuilder::default()
        .created(CREATED)
        .architecture(Arch::default())
        .os(Os::Linux)
        .config(config)
        .rootfs(
            RootFsBuilder::default()
                .typ("layers")
                .diff_ids(diff_ids)
                .build()?,
        )
        .history(history)
        .build()?;
    let mut image = serde_json::to_value(&image)?;
    if let Some(command) = &plan.healthcheck {
        // Docker's addition to the configuration; podman heeds it too, Kubernetes does not.
        let test: Vec<&str> = ["CMD"]
            .into_iter()
            .chain(command.iter().map(String::as_str))
            .collect();
        image["config"]["Healthcheck"] = json!({
            "Test": test, "Interval": 10 * SECOND, "Timeout": 10 * SECOND, "StartPeriod": 60 * SECOND,
            "Retries": 3,
        });
    }
    bytes(&image)
}

fn of_blob(kind: MediaType, content: &[u8]) -> Result<Descriptor, OciSpecError> {
    descriptor(kind, &sha256(content), content.len() as u64)
}

fn descriptor(kind: MediaType, digest: &str, size: u64) -> Result<Descriptor, OciSpecError> {
    let digest: Sha256Digest = digest.parse()?;
    Ok(Descriptor::new(kind, size, digest))
}

fn sha256(content: &[u8]) -> String {
    hexadecimal(&Sha256::digest(content))
}

/// Keys sorted: the same image is the same bytes.
fn bytes(value: &impl Serialize) -> Result<Vec<u8>, OciSpecError> {
    Ok(serde_json::to_vec(&sorted(serde_json::to_value(value)?))?)
}

fn sorted(value: Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut pairs: Vec<(String, Value)> = map.into_iter().collect();
            pairs.sort_by(|a, b| a.0.cmp(&b.0));
            let pairs = pairs.into_iter();
            Value::Object(pairs.map(|(key, value)| (key, sorted(value))).collect())
        }
        Value::Array(values) => Value::Array(values.into_iter().map(sorted).collect()),
        other => other,
    }
}

fn append(
    tar: &mut Builder<impl Write>,
    name: &str,
    size: u64,
    content: impl io::Read,
) -> io::Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(EntryType::Regular);
    header.set_mode(0o644);
    header.set_size(size);
    header.set_mtime(0);
    tar.append_data(&mut header, Path::new(name), content)
}
