//! `info` and `url`: what an application consists of and how to reach it.

use std::collections::BTreeMap;

use super::table::table;
use super::{Call, backed_up, check_service, json, memory, traffic};
use crate::cli::Form;
use crate::error::Error;
use crate::model::application::{Application, Instance, InstanceName, Selection, Service};
use crate::model::page;
use crate::network::wiring;
use crate::output::console;

/// The application as a table, or one service in full.
pub(super) fn info(call: &Call, service: Option<&Selection>, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    let Some(selection) = service else {
        if form.json {
            json::print(&json::application(call, &application));
        } else {
            show_application(call, &application);
        }
        return Ok(());
    };
    check_service(&application, selection)?;
    if form.json {
        let name = &selection.service;
        let service = application.services.get(name);
        let service = service.map(|service| json::service(call, &application, name, service));
        json::print(&service.unwrap_or_default());
    } else {
        show_service(call, &application, selection);
    }
    Ok(())
}

/// The addresses of every service, or of one.
pub(super) fn url(call: &Call, service: Option<&Selection>, form: Form) -> Result<(), Error> {
    let application = call.application()?;
    if let Some(selection) = service {
        check_service(&application, selection)?;
    }
    let found: BTreeMap<&String, Vec<String>> = application
        .services
        .keys()
        .filter(|name| service.is_none_or(|selection| selection.service == **name))
        .map(|name| (name, service_urls(&application, name)))
        .collect();
    if form.json {
        json::print(&serde_json::json!(found));
        return Ok(());
    }
    for (name, urls) in found.iter().filter(|(_, urls)| !urls.is_empty()) {
        console::print(format!("{name}:  {}", urls.join(" ; ")));
    }
    Ok(())
}

fn show_application(call: &Call, application: &Application) {
    console::print(format!("=== {}", application.name));
    console::print(format!("flavor:   {}", application.flavor));
    if let Some(revision) = &application.revision {
        console::print(format!("revision: {revision}"));
    }
    let directory = call.platform.store.directory(&application.name);
    console::print(format!("state:    {}", directory.display()));
    let mut rows = vec![["name", "type", "containers", "reserved memory"].map(str::to_owned)];
    rows.extend(application.services.iter().map(|(name, service)| {
        [
            name.clone(),
            service.kind.clone(),
            service.instances.len().to_string(),
            reserved(service),
        ]
    }));
    for line in table(&rows) {
        console::print(line);
    }
}

fn show_service(call: &Call, application: &Application, selection: &Selection) {
    let Some(service) = application.services.get(&selection.service) else {
        return;
    };
    console::print(format!("== {}", selection.service));
    console::print(format!("type:            {}", service.kind));
    console::print(format!("instances:       {}", service.instances.len()));
    console::print(format!("reserved memory: {}", reserved(service)));
    for url in service_urls(application, &selection.service) {
        console::print(format!("url:             {url}"));
    }
    for (&number, instance) in &service.instances {
        let name = InstanceName::new(&selection.service, number);
        if selection.covers(&name) {
            show_instance(call, application, &name, instance);
        }
    }
}

fn reserved(service: &Service) -> String {
    service
        .memory
        .map_or("N/A".to_owned(), |memory| memory.to_string())
}

fn show_instance(call: &Call, application: &Application, name: &InstanceName, instance: &Instance) {
    console::print("");
    console::print(format!("=== {name}"));
    console::print("datacenter: this machine");
    console::print(format!("host:       {}", name.host(&application.name)));
    if let Some(container) = &instance.current {
        let store = &call.platform.store;
        let paths = store.container(&application.name, name, container.generation);
        console::print(format!("container:  {}", paths.root().display()));
        if let Ok(runtime) = call.platform.runtime_of(&paths) {
            console::print(format!("runtime:    {}", runtime.describe()));
        }
        console::print(format!("revision:   {}", container.revision));
        if let Ok(Some(usage)) = memory::of_instance(call, application, name) {
            console::print(format!("memory:     {}", memory::in_words(&usage)));
        }
    }
    let ports: Vec<(String, String)> = page::urls(instance)
        .into_iter()
        .filter(|(_, url)| !url.starts_with("http:"))
        .collect();
    if !ports.is_empty() {
        console::print("ports:");
        for (port, url) in ports {
            console::print(format!("  {port}: {url}"));
        }
    }
    for (port, answer) in wiring::ask(instance) {
        let word = if answer.passes { "passes" } else { "fails" };
        console::print(format!("check of {port}: {word}: {}", answer.says));
    }
    let backups = backed_up::lines(call, application, name);
    if !backups.is_empty() {
        console::print("backups:");
        for line in backups {
            console::print(format!("  {line}"));
        }
    }
    let traffic = traffic::of_instance(call, application, name);
    if !traffic.is_empty() {
        console::print("traffic:");
        for (port, traffic) in traffic {
            console::print(format!("  {port}: {}", traffic::in_words(&traffic)));
        }
    }
}

fn service_urls(application: &Application, service: &str) -> Vec<String> {
    application
        .instances()
        .filter(|(name, _)| name.service == service)
        .flat_map(|(_, instance)| page::urls(instance))
        .map(|(_, url)| url)
        .collect()
}
