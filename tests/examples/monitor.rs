//! The monitor of monitor.c in Rust: the C interface declared by hand in `tape`, a small safe type
//! over it, and a run loop that uses it. No crates.
//!
//!     rustc -L native=PREFIX/lib monitor.rs && ./monitor vm.kvmtape
use std::ffi::{c_int, c_ulong, c_void};
use std::fs::{File, OpenOptions};
use std::os::fd::{AsRawFd, FromRawFd};
use std::{env, io, mem, process, ptr};

/// recorder/kvmtape.h, as far as it is used here.
mod tape {
    use std::ffi::{c_char, c_int, c_uint, c_void};

    #[repr(C)]
    pub struct Options {
        pub struct_bytes: usize,
        pub path: *const c_char,
        pub force: c_int,
        pub ring_directory: *const c_char,
        pub ring_bytes: usize,
        pub ring_bytes_total: usize,
        pub ring_full: c_int,
        pub registers: c_int,
        pub registers_every: c_uint,
        pub allow_vcpu_ioctls: c_int,
        pub drain_interval_us: c_uint,
        pub kvm_fd: c_int,
        pub vm_fd: c_int,
        pub monitor_name: *const c_char,
        pub recorder: *const c_char,
        pub flight_bytes: usize,
        pub triggers: *const c_char,
        pub max_file_bytes: u64,
        pub max_file_seconds: c_uint,
        pub max_files: c_uint,
        pub exit_reasons: u64,
        pub addresses: *const Range,
        pub address_count: usize,
        pub control: c_int,
    }
    #[repr(C)]
    pub struct Range {
        pub first: u64,
        pub last: u64,
    }
    #[repr(C)]
    pub struct Error {
        pub code: c_int,
        pub text: [c_char; 512],
    }
    #[repr(C)]
    #[derive(Default)]
    pub struct Totals {
        pub exits: u64,
        pub lost: u64,
        pub bytes: u64,
        pub vcpus: u64,
        pub write_errors: u64,
    }
    pub enum Session {}
    pub enum Vcpu {}

    #[link(name = "kvmtape")]
    extern "C" {
        pub fn kvmtape_options_init_sized(options: *mut Options, struct_bytes: usize);
        pub fn kvmtape_open(options: *const Options, error: *mut Error) -> *mut Session;
        pub fn kvmtape_attach_vcpu(
            session: *mut Session, id: c_uint, vcpu_fd: c_int, run: *mut c_void, run_bytes: usize,
            error: *mut Error,
        ) -> *mut Vcpu;
        pub fn kvmtape_enter(vcpu: *mut Vcpu);
        pub fn kvmtape_exit(vcpu: *mut Vcpu, ret: c_int, error_number: c_int);
        pub fn kvmtape_close(session: *mut Session, totals: *mut Totals, error: *mut Error) -> c_int;
    }
}

/// A recording; sealed when closed.
struct Recording(*mut tape::Session);

impl Recording {
    fn open(path: &std::ffi::CStr, kvm: &File, vm: &File) -> Result<Recording, String> {
        // SAFETY: all-zero bytes are a value of these plain C structs; init fills what it defines.
        let (mut options, mut error): (tape::Options, tape::Error) = unsafe { mem::zeroed() };
        // A newer library knows more options than the declaration above: those keep their defaults.
        unsafe { tape::kvmtape_options_init_sized(&mut options, mem::size_of::<tape::Options>()) };
        options.path = path.as_ptr();
        options.kvm_fd = kvm.as_raw_fd();
        options.vm_fd = vm.as_raw_fd();
        match unsafe { tape::kvmtape_open(&options, &mut error) } {
            session if session.is_null() => {
                let text = unsafe { std::ffi::CStr::from_ptr(error.text.as_ptr()) };
                Err(text.to_string_lossy().into_owned())
            }
            session => Ok(Recording(session)),
        }
    }

    fn close(self) -> tape::Totals {
        let mut totals = tape::Totals::default();
        unsafe { tape::kvmtape_close(self.0, &mut totals, ptr::null_mut()) };
        totals
    }
}

// include/uapi/linux/kvm.h and arch/x86/include/uapi/asm/kvm.h, Linux 6.1.
const KVM_CREATE_VM: c_ulong = 0xae01;
const KVM_GET_VCPU_MMAP_SIZE: c_ulong = 0xae04;
const KVM_CREATE_VCPU: c_ulong = 0xae41;
const KVM_SET_USER_MEMORY_REGION: c_ulong = 0x4020ae46;
const KVM_RUN: c_ulong = 0xae80;
const KVM_SET_REGS: c_ulong = 0x4090ae82;
const KVM_GET_SREGS: c_ulong = 0x8138ae83;
const KVM_SET_SREGS: c_ulong = 0x4138ae84;
const KVM_EXIT_IO: u32 = 2;
const KVM_EXIT_HLT: u32 = 5;
const EXIT_REASON: usize = 8; // offsets in struct kvm_run
const IO_DATA_OFFSET: usize = 40;

extern "C" {
    fn ioctl(fd: c_int, request: c_ulong, ...) -> c_int;
    fn mmap(at: *mut c_void, bytes: usize, prot: c_int, flags: c_int, fd: c_int, offset: i64)
        -> *mut c_void;
}

fn checked(ret: c_int) -> io::Result<c_int> {
    if ret < 0 { Err(io::Error::last_os_error()) } else { Ok(ret) }
}

/// Readable, writable memory: of a descriptor (shared), or none (-1: private, zero).
fn map(bytes: usize, fd: c_int) -> *mut u8 {
    let flags = if fd < 0 { 0x22 } else { 0x01 };
    let at = unsafe { mmap(ptr::null_mut(), bytes, 3, flags, fd, 0) };
    assert_ne!(at as isize, -1, "mmap: {}", io::Error::last_os_error());
    at.cast()
}

fn start_guest(vm: &File, vcpu: &File) -> io::Result<()> {
    const GUEST: [u8; 5] = [0xb0, b'!', 0xe6, 0xe9, 0xf4]; // mov $'!', %al; out %al, $0xe9; hlt
    const ADDRESS: usize = 0x1000;
    let memory = map(0x2000, -1);
    let region: [u64; 4] = [0, 0, 0x2000, memory as u64]; // slot and flags, address, bytes, where
    let mut sregs = [0u8; 312]; // struct kvm_sregs begins with cs: base, limit, selector
    let mut regs = [0u64; 18]; // struct kvm_regs ends with rip, rflags
    (regs[16], regs[17]) = (ADDRESS as u64, 2);
    unsafe {
        ptr::copy_nonoverlapping(GUEST.as_ptr(), memory.add(ADDRESS), GUEST.len());
        checked(ioctl(vm.as_raw_fd(), KVM_SET_USER_MEMORY_REGION, region.as_ptr()))?;
        checked(ioctl(vcpu.as_raw_fd(), KVM_GET_SREGS, sregs.as_mut_ptr()))?;
        sregs[0..8].fill(0);
        sregs[12..14].fill(0);
        checked(ioctl(vcpu.as_raw_fd(), KVM_SET_SREGS, sregs.as_ptr()))?;
        checked(ioctl(vcpu.as_raw_fd(), KVM_SET_REGS, regs.as_ptr()))?;
    }
    Ok(())
}

fn create_vm() -> io::Result<(File, File)> {
    let kvm = OpenOptions::new().read(true).write(true).open("/dev/kvm")?;
    let vm = unsafe { checked(ioctl(kvm.as_raw_fd(), KVM_CREATE_VM, 0))? };
    Ok((kvm, unsafe { File::from_raw_fd(vm) }))
}

fn main() -> io::Result<()> {
    let (kvm, vm) = create_vm().unwrap_or_else(|error| {
        println!("skipped: /dev/kvm: {error}");
        process::exit(77)
    });
    let vcpu = unsafe { File::from_raw_fd(checked(ioctl(vm.as_raw_fd(), KVM_CREATE_VCPU, 0))?) };
    let run_bytes = unsafe { checked(ioctl(kvm.as_raw_fd(), KVM_GET_VCPU_MMAP_SIZE, 0))? } as usize;
    let run = map(run_bytes, vcpu.as_raw_fd());
    start_guest(&vm, &vcpu)?;

    let path = env::args().nth(1).unwrap_or_else(|| "vm.kvmtape".into());
    let path = std::ffi::CString::new(path).expect("a path without NUL");
    let recording = Recording::open(&path, &kvm, &vm).expect("the recording cannot start");
    let (fd, none) = (vcpu.as_raw_fd(), ptr::null_mut());
    let tape =
        unsafe { tape::kvmtape_attach_vcpu(recording.0, 0, fd, run.cast(), run_bytes, none) };

    let reason = loop {
        unsafe { tape::kvmtape_enter(tape) };
        let ran = checked(unsafe { ioctl(fd, KVM_RUN, 0) });
        let error_number = ran.as_ref().err().and_then(|e| e.raw_os_error()).unwrap_or(0);
        unsafe { tape::kvmtape_exit(tape, if ran.is_ok() { 0 } else { -1 }, error_number) };
        ran?;
        let reason = unsafe { run.add(EXIT_REASON).cast::<u32>().read_volatile() };
        if reason != KVM_EXIT_IO {
            break reason;
        }
        let offset = unsafe { run.add(IO_DATA_OFFSET).cast::<u64>().read_volatile() } as usize;
        println!("guest says {}", unsafe { *run.add(offset) } as char);
    };

    let totals = recording.close();
    println!("{} exits recorded", totals.exits);
    assert_eq!((reason, totals.exits), (KVM_EXIT_HLT, 2));
    Ok(())
}
