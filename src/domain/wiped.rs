//! Wipes secrets from the stack after a computation. The allocator wipes freed heap memory; the
//! stack would keep its content for as long as the thread sleeps.

use std::{future::Future, hint::black_box, pin::pin, task::Poll};

use zeroize::Zeroize;

/// Eight-byte words that are wiped: 8 KiB, more than hashing and sealing use.
const WORDS: usize = 1024;

/// Computes with a secret, then wipes the stack that this used: hash implementations copy their
/// input into blocks, and move those. The result of `compute` is not wiped.
pub fn wiped<T>(compute: impl FnOnce() -> T) -> T {
    let result = in_own_frame(compute);
    wipe();
    result
}

/// Never inlined, so that it uses the same stack as [`wipe`], below the caller's frame.
#[inline(never)]
fn in_own_frame<T>(compute: impl FnOnce() -> T) -> T {
    compute()
}

#[inline(never)]
fn wipe() {
    [0_u64; WORDS].zeroize();
}

/// Bytes, more than the frames below a handler take: those of a debug build are larger.
const DEEP: usize = if cfg!(debug_assertions) { 256 * 1024 } else { 64 * 1024 };

/// Runs a future that handles secrets, and wipes the stack after each time that a thread worked on
/// it: the thread may then sleep for long.
pub async fn wiped_after_polls<F: Future>(future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|context| {
        let polled: Poll<_> = in_own_frame(|| future.as_mut().poll(context));
        wipe_deep();
        polled
    })
    .await
}

#[expect(clippy::large_stack_arrays, reason = "it is the stack that is overwritten")]
#[inline(never)]
fn wipe_deep() {
    black_box(&mut [0_u8; DEEP]);
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

    /// Runs `act` below the stack that the search uses.
    #[inline(never)]
    fn deep(act: impl FnOnce()) {
        let room = black_box([0_u8; 16 * 1024]);
        act();
        black_box(&room);
    }

    /// Whether 16 bytes in the middle of a secret are still on the stack once `act` is done with
    /// it.
    fn leaves(act: impl FnOnce(&str)) -> bool {
        // Masked, so that the search does not find its own copy.
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
