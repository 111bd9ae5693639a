// SPDX-License-Identifier: GPL-2.0

//! Rust configfs sample: items that are committed by `rename(2)`.
//!
//! ```sh
//! cd /sys/kernel/config/rust_configfs_lamps
//! mkdir pending/desk
//! echo 3 > pending/desk/socket
//! mv pending/desk live/desk
//! cat live/desk/status
//! ```
//!
//! With `CONFIG_DEBUG_FS`, writing to `rust_configfs_lamps/fuse` there makes the driver take lamps
//! out of service.
//!
//! With `CONFIG_DEBUG_FS`, writing to `rust_configfs_lamps/fuse` there makes the driver take lamps
//! out of service.

use kernel::alloc::flags;
use kernel::configfs;
use kernel::configfs::configfs_attrs;
use kernel::debugfs;
use kernel::fmt::Write as _;
use kernel::new_mutex;
use kernel::page::PAGE_SIZE;
use kernel::prelude::*;
use kernel::str::Formatter;
use kernel::sync::Arc;
use kernel::sync::ArcBorrow;
use kernel::sync::Mutex;
use kernel::uaccess::UserSliceReader;

module! {
    type: RustConfigfsLamps,
    name: "rust_configfs_lamps",
    authors: ["Rust for Linux Contributors"],
    description: "Rust configfs sample: items that are committed by rename(2)",
    license: "GPL",
}

#[pin_data]
struct RustConfigfsLamps {
    sockets: Arc<Mutex<Sockets>>,
    debugfs: debugfs::Dir,
    #[pin]
    fuse: debugfs::File<Arc<Mutex<Sockets>>>,
    #[pin]
    lamps: configfs::Subsystem<Lamps>,
}

impl kernel::InPlaceModule for RustConfigfsLamps {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        // `Lamps` implements `commit_item`, so the directory has `pending` and `live` in it.
        // `mkdir` in `pending` makes a `Lamp`.
        let item_type = configfs_attrs! {
            container: configfs::Subsystem<Lamps>,
            data: Lamps,
            child: Lamp,
            attributes: [],
        };

        try_pin_init!(Self {
            sockets: Arc::pin_init(new_mutex!([const { None }; SOCKETS]), flags::GFP_KERNEL)?,
            debugfs: debugfs::Dir::new(c"rust_configfs_lamps"),
            fuse <- debugfs.write_callback_file(c"fuse", sockets.clone(), &blow_fuse),
            // The last, because nothing must fail once userspace may have made a lamp.
            lamps <- configfs::Subsystem::new(
                c"rust_configfs_lamps", item_type, Ok(Lamps { sockets: sockets.clone() })
            ),
        })
    }
}

const SOCKETS: usize = 4;

/// The live lamp in each socket.
type Sockets = [Option<configfs::ItemRef<Lamp>>; SOCKETS];

struct Lamps {
    sockets: Arc<Mutex<Sockets>>,
}

#[vtable]
impl configfs::GroupOperations for Lamps {
    type Child = Lamp;

    fn make_group(&self, name: &CStr) -> Result<impl PinInit<configfs::Group<Lamp>, Error>> {
        // `socket` is frozen while a lamp is live; it says where `commit_item` has put the lamp.
        // `brightness` can be written at any time.
        let tpe = configfs_attrs! {
            container: configfs::Group<Lamp>,
            data: Lamp,
            attributes: [
                socket: 0,
                brightness: 1 live,
                status: 2,
            ],
        };

        Ok(configfs::Group::new(name.try_into()?, tpe, Lamp::new()))
    }

    fn drop_item(&self, _lamp: ArcBorrow<'_, configfs::Group<Lamp>>) {
        pr_info!("A lamp has gone\n");
    }

    fn commit_item(&self, lamp: configfs::Item<'_, Lamp>) -> Result {
        let n = lamp.socket()?;
        let mut sockets = self.sockets.lock();

        if sockets[n].is_some() {
            return Err(EBUSY);
        }
        sockets[n] = Some(lamp.to_item_ref());
        Ok(())
    }

    fn uncommit_item(&self, lamp: configfs::Item<'_, Lamp>) -> Result {
        // The lamp was frozen, so this is where `commit_item` has put it.
        let n = lamp.socket()?;

        self.sockets.lock()[n] = None;
        Ok(())
    }

    fn exchange_items(
        &self,
        live: configfs::Item<'_, Lamp>,
        pending: configfs::Item<'_, Lamp>,
    ) -> Result {
        let (from, to) = (live.socket()?, pending.socket()?);
        let mut sockets = self.sockets.lock();

        if from != to && sockets[to].is_some() {
            return Err(EBUSY);
        }
        sockets[from] = None;
        sockets[to] = Some(pending.to_item_ref());
        Ok(())
    }

    // A lamp can have another name while it is in `pending`.
    fn rename_item(
        &self,
        _lamp: configfs::Item<'_, Lamp>,
        _new_group: Option<&Self>,
        _new_name: &CStr,
    ) -> Result {
        Ok(())
    }
}

/// Take the lamps out of service that are in a socket.
///
/// This stands for what a driver hears of from something other than configfs. It is not called by
/// configfs, so it can uncommit items. A lamp stays live if userspace is in the way: because it has
/// made another one of that name in `pending`, for example.
fn blow_fuse(sockets: &Arc<Mutex<Sockets>>, _reader: &mut UserSliceReader) -> Result {
    let mut result = Ok(());

    for n in 0..SOCKETS {
        // `uncommit_item` takes the mutex.
        let lamp = sockets.lock()[n].clone();

        match lamp.map_or(Ok(()), |lamp| lamp.uncommit()) {
            // Userspace was faster.
            Ok(()) | Err(EALREADY | ENOENT) => (),
            // The others go all the same.
            err => result = err,
        }
    }
    result
}

#[pin_data]
struct Lamp {
    #[pin]
    state: Mutex<LampState>,
}

struct LampState {
    socket: Option<usize>,
    brightness: usize,
}

impl Lamp {
    fn new() -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            state <- new_mutex!(LampState {
                socket: None,
                brightness: 100,
            }),
        })
    }

    fn socket(&self) -> Result<usize> {
        self.state.lock().socket.ok_or(ENXIO)
    }
}

/// Parse what was written to an attribute, a number up to `max`.
fn parse_up_to(max: usize, page: &[u8]) -> Result<usize> {
    let text = core::str::from_utf8(page)?.trim();
    let value = text.parse::<usize>().map_err(|_| EINVAL)?;

    if value > max {
        return Err(ERANGE);
    }
    Ok(value)
}

#[vtable]
impl configfs::AttributeOperations<0> for Lamp {
    type Data = Lamp;

    fn show(lamp: configfs::Item<'_, Self>, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        let mut writer = Formatter::new(page);

        match lamp.socket() {
            Ok(n) => writer.write_fmt(fmt!("{n}\n"))?,
            Err(_) => writer.write_str("none\n")?,
        }
        Ok(writer.bytes_written())
    }

    fn store(lamp: configfs::Item<'_, Self>, page: &[u8]) -> Result {
        lamp.state.lock().socket = Some(parse_up_to(SOCKETS - 1, page)?);
        Ok(())
    }
}

#[vtable]
impl configfs::AttributeOperations<1> for Lamp {
    type Data = Lamp;

    fn show(lamp: configfs::Item<'_, Self>, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        let mut writer = Formatter::new(page);

        writer.write_fmt(fmt!("{}\n", lamp.state.lock().brightness))?;
        Ok(writer.bytes_written())
    }

    fn store(lamp: configfs::Item<'_, Self>, page: &[u8]) -> Result {
        lamp.state.lock().brightness = parse_up_to(100, page)?;
        Ok(())
    }
}

#[vtable]
impl configfs::AttributeOperations<2> for Lamp {
    type Data = Lamp;

    fn show(lamp: configfs::Item<'_, Self>, page: &mut [u8; PAGE_SIZE]) -> Result<usize> {
        let mut writer = Formatter::new(page);
        let state = if lamp.is_live() { "on" } else { "off" };

        writer.write_fmt(fmt!("{} is {}\n", lamp.name(), state))?;
        Ok(writer.bytes_written())
    }
}
