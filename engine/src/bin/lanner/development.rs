//! `lanner dev-cert`: makes the certificate for developing with, where there is none, and says how to trust it.

use crate::arguments::Wish;
use crate::failure::Failure;
use lanner::DevelopmentCertificate;

/// What is to be printed.
pub(crate) fn told(wish: Wish) -> Result<String, Failure> {
    let opened = if wish.renew {
        DevelopmentCertificate::renew()
    } else {
        DevelopmentCertificate::open()
    };
    let certificate = opened
        .map_err(|error| Failure::System("there is no certificate for developing with", error))?;
    Ok(if wish.path {
        format!("{}\n", certificate.authority().display())
    } else {
        certificate.instructions()
    })
}
