//! Bytes on the heap. Run by `bench`; a program of its own, since counting slows down every allocation.

use std::process::ExitCode;

fn main() -> ExitCode {
    let count = |work: &mut dyn FnMut()| allocation_counter::measure(work).bytes_current;
    match bench::print_sizes(std::env::args().skip(1), &count) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
