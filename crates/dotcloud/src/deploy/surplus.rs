//! The end of the instances that `scale` took away: whoever scaled down agreed to lose their data,
//! and a deployment that works carries it out.

use super::{DeployError, Deployment};
use crate::handover::HandoverError;
use crate::host::files::{self, FileError};
use crate::model::application::{Application, InstanceName, Selection};
use crate::network::wiring;
use crate::service::launch;
use crate::service::platform::Platform;

impl Deployment<'_> {
    /// Stops the instances beyond the scale of their service and removes them.
    pub(super) fn remove_surplus(&mut self) -> Result<(), DeployError> {
        let surplus = self.application.surplus();
        for name in &surplus {
            self.remove_instance(name)?;
        }
        remove_remains(self.platform, self.application)?;
        if !surplus.is_empty() {
            // Without their gateways.
            wiring::ensure(self.platform, self.application)?;
        }
        Ok(())
    }

    fn remove_instance(&mut self, name: &InstanceName) -> Result<(), DeployError> {
        let (platform, application) = (self.platform, &mut *self.application);
        let whom = name.to_string();
        self.log
            .of(name, "Removing the instance and its data: scaled down");
        if let Some(instance) = application.instance(name) {
            for container in instance.containers() {
                let paths = platform
                    .store
                    .container(&application.name, name, container.generation);
                launch::stop(platform, &paths, &whom, self.log).map_err(HandoverError::from)?;
            }
        }
        if let Some(service) = application.services.get_mut(&name.service) {
            service.instances.remove(&name.number);
        }
        // Before its files, so that there is never an instance with half of its data.
        Ok(platform.store.save(application)?)
    }
}

/// Removes the files of instances that went, also with a deployment that was killed meanwhile.
fn remove_remains(platform: &Platform, application: &Application) -> Result<(), FileError> {
    let directory = platform.store.directory(&application.name);
    let read = |source| files::failed("read", &directory)(source);
    for entry in std::fs::read_dir(&directory).map_err(read)? {
        let entry = entry.map_err(read)?;
        let file_name = entry.file_name();
        let selection = file_name
            .to_str()
            .and_then(|name| name.parse::<Selection>().ok());
        let Some(Selection {
            service,
            number: Some(number),
        }) = selection
        else {
            continue;
        };
        let gone = application.services.get(&service).is_some_and(|record| {
            record.is_surplus(number) && !record.instances.contains_key(&number)
        });
        if gone {
            files::remove(&entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::model::application::{Instance, Service};

    #[test]
    fn remove_remains_takes_what_was_scaled_away_and_is_not_on_record() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path().to_str().unwrap();
        let environment = [("DOTCLOUD_HOME", root)].into_iter().collect();
        let platform = Platform::new(&environment).unwrap();
        let mut application = Application::new("app", "live");
        let service = |scale, numbers: &[u32]| Service {
            kind: "custom".to_owned(),
            snapshot: None,
            instances: numbers
                .iter()
                .map(|&number| (number, Instance::default()))
                .collect(),
            scale,
            memory: None,
        };
        // One to go is still on record: whoever takes it off removes it.
        let services = [
            ("db".to_owned(), service(Some(1), &[0, 2])),
            ("web".to_owned(), service(None, &[0])),
        ];
        application.services.extend(services);
        let state = platform.store.directory("app");
        let names = [
            "db.0", "db.1", "db.2", "db.build", "public", "web.0", "web.1",
        ];
        for name in names {
            fs::create_dir_all(state.join(name).join("7/home/data")).unwrap();
        }
        remove_remains(&platform, &application).unwrap();
        let left: Vec<&str> = names
            .into_iter()
            .filter(|name| state.join(name).exists())
            .collect();
        assert_eq!(
            left,
            ["db.0", "db.2", "db.build", "public", "web.0", "web.1"]
        );
    }
}
