//! Wipes secrets from the stack. The allocator wipes freed heap memory; the stack keeps its content
//! for as long as its thread sleeps.

use std::hint::black_box;

use zeroize::Zeroize;

/// More than hashing and sealing take of the stack, in words of eight bytes: 8 KiB.
const WORDS: usize = 1024;
/// More than a request takes of the stack in a debug build, in words of eight bytes: 256 KiB.
const REQUEST_WORDS: usize = 32 * 1024;

/// Computes with a secret, then wipes the stack that this took: hashes copy what they are given
/// into their blocks, and their libraries move and copy those. What `compute` gives back is not
/// wiped.
pub fn wiped<T>(compute: impl FnOnce() -> T) -> T {
    let result = apart(compute);
    wipe();
    result
}

/// The same for one poll of a connection's future, which takes more of the stack. About 7 µs.
pub fn wiped_poll<T>(poll: impl FnOnce() -> T) -> T {
    let result = apart(poll);
    wipe_deep();
    result
}

/// Below the caller's frame, where [`wipe`] will be.
#[inline(never)]
fn apart<T>(compute: impl FnOnce() -> T) -> T {
    compute()
}

#[inline(never)]
fn wipe() {
    [0_u64; WORDS].zeroize();
}

/// Twice as fast as `zeroize`, which writes word by word after the initialization.
#[inline(never)]
#[allow(clippy::large_stack_arrays, reason = "the stack is what is wiped; a thread has 2 MiB")]
fn wipe_deep() {
    black_box(&mut [0_u64; REQUEST_WORDS]);
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        hint::black_box,
        os::unix::fs::FileExt,
    };

    use zeroize::Zeroizing;

    use super::*;
    use crate::domain::{
        password::{self, Argon2id},
        random,
    };

    const MASK: u8 = 0x80;

    /// The stack of this thread below `top`.
    fn stack_below(top: usize) -> Vec<u8> {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let start = maps.lines().find_map(|line| {
            let (from, to) = line.split_once(' ')?.0.split_once('-')?;
            let (from, to) = (usize::from_str_radix(from, 16).ok()?, usize::from_str_radix(to, 16).ok()?);
            (from..to).contains(&top).then_some(from)
        });
        let from = start.expect("the stack is mapped");
        let mut bytes = vec![0; top - from];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, from as u64).unwrap();
        bytes
    }

    /// Far below what the search itself takes.
    #[inline(never)]
    fn deep(act: impl FnOnce()) {
        let room = black_box([0_u8; 16 * 1024]);
        act();
        black_box(&room);
    }

    /// Whether 16 bytes in the middle of a secret are still on the stack once `act` is done with
    /// it.
    fn leaves(act: impl FnOnce(&str)) -> bool {
        // Where the search knows it from, it does not stand.
        let hidden: Vec<u8> = random::bytes::<32>(&mut random::os_rng())
            .iter()
            .map(|byte| password::ALPHABET.as_bytes()[usize::from(*byte) % password::ALPHABET.len()] ^ MASK)
            .collect();
        let secret = Zeroizing::new(hidden.iter().map(|byte| char::from(byte ^ MASK)).collect::<String>());
        deep(|| act(&secret));
        drop(secret);
        let top = 0_u8;
        let stack = stack_below(&raw const top as usize);
        stack.windows(16).any(|window| window.iter().zip(&hidden[8..24]).all(|(byte, hidden)| *byte == hidden ^ MASK))
    }

    #[test]
    fn nothing_that_was_hashed_is_left_on_the_stack() {
        let left = |secret: &str| {
            let copy: [u8; 32] = secret.as_bytes().try_into().unwrap();
            black_box(&copy);
        };
        assert!(leaves(left), "what must be found is found");
        assert!(!leaves(|secret| wiped(|| left(secret))));
        assert!(!leaves(|secret| drop(random::digest(secret))));
        assert!(!leaves(|secret| assert!(!password::is_well_formed(&format!("rcd_{}222222", &secret[4..])))));
        let mut argon2id = Argon2id::default();
        assert!(!leaves(|secret| drop(argon2id.hash(secret, [0; 16]))));
    }
}
