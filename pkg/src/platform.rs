//! What std would bring along: memory, and an end for panics.
//!
//! Without std the wasm is a fifth smaller: std's panic handler formats a message, and all that formatting needs, for
//! a standard error that does not exist here.

use core::panic::PanicInfo;

use dlmalloc::GlobalDlmalloc;

/// The allocator that std uses for this target.
#[global_allocator]
static ALLOCATOR: GlobalDlmalloc = GlobalDlmalloc;

/// Traps; JavaScript sees a `RuntimeError`, which `error.js` wraps.
#[panic_handler]
fn trap(_: &PanicInfo<'_>) -> ! {
    core::arch::wasm32::unreachable()
}
