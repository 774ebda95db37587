//! `open`: a service's web page in the browser.

use super::{Call, check_service};
use crate::error::Error;
use crate::model::application::Selection;
use crate::model::page::{self, PageError};
use crate::output::console;

/// Opens the page of `service`, or of the only service that has one.
pub(super) fn open(call: &Call, service: Option<&Selection>) -> Result<(), Error> {
    let application = call.application()?;
    if let Some(selection) = service {
        check_service(&application, selection)?;
    }
    let pages: Vec<(String, String)> = application
        .instances()
        .filter(|(name, _)| service.is_none_or(|selection| selection.covers(name)))
        .flat_map(|(name, instance)| {
            let urls = page::urls(instance).into_iter();
            let pages = urls.filter(|(_, url)| url.starts_with("http:"));
            pages.map(move |(_, url)| (name.service.clone(), url))
        })
        .collect();
    let Some((name, url)) = pages.first() else {
        return Err(PageError::None {
            whom: service.map_or(application.name, ToString::to_string),
        }
        .into());
    };
    if pages.iter().any(|(other, _)| other != name) {
        return Err(PageError::Several {
            application: application.name,
            services: pages.into_iter().map(|(name, _)| name).collect(),
        }
        .into());
    }
    console::print(format!("{name}:  {url}"));
    // It must not hold us up, nor end with us.
    let opened = ::open::that_detached(url).map_err(|source| PageError::Browser {
        url: url.clone(),
        source,
    });
    Ok(opened?)
}
