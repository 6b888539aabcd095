//! The library that does TLS's arithmetic: aws-lc-rs, or ring where only that is built in. Which suites and groups are
//! offered, and in which order, is decided here; the two libraries are named nowhere else.

use rustls::crypto::CryptoProvider;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "aws-lc-rs")]
use aws_lc_rs as library;
#[cfg(not(feature = "aws-lc-rs"))]
use ring as library;

#[cfg(feature = "aws-lc-rs")]
use rustls::crypto::aws_lc_rs as backend;
#[cfg(not(feature = "aws-lc-rs"))]
use rustls::crypto::ring as backend;

use backend::cipher_suite::{
    TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    TLS13_AES_128_GCM_SHA256, TLS13_AES_256_GCM_SHA384, TLS13_CHACHA20_POLY1305_SHA256,
};
use library::rand::{SecureRandom as _, SystemRandom};
pub(crate) use library::{aead, digest, hkdf};

/// What rustls works with: one for the process.
///
/// Suites with forward secrecy and AEAD only. AES with 128 bits comes first: nobody breaks it, and it has ten rounds
/// where 256 bits have fourteen. Groups stay in the library's order, the post-quantum one
/// (X25519MLKEM768) first where it has one; rustls takes the first of the client's that is among ours.
pub(crate) fn provider() -> &'static Arc<CryptoProvider> {
    static PROVIDER: OnceLock<Arc<CryptoProvider>> = OnceLock::new();
    PROVIDER.get_or_init(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                TLS13_AES_128_GCM_SHA256,
                TLS13_AES_256_GCM_SHA384,
                TLS13_CHACHA20_POLY1305_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
                TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
                TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
                TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
                TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
            ],
            ..backend::default_provider()
        })
    })
}

/// Fills `bytes` from the system's generator; false where that fails.
#[must_use]
pub(crate) fn fill_random(bytes: &mut [u8]) -> bool {
    SystemRandom::new().fill(bytes).is_ok()
}

/// The length of what a key derivation puts out.
pub(crate) struct Length(pub(crate) usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}
