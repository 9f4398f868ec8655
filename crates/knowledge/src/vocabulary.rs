//! The closed word lists of the data files. The build script compiles this file too, so a word is written down once.

use std::fmt;

/// Declares an enum whose variants each have one word, the one used in data files and in reports.
macro_rules! vocabulary {
    ($(#[$about:meta])* $name:ident { $($(#[$meaning:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name {
            $($(#[$meaning])* $variant,)+
        }

        impl $name {
            /// Every variant, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The word for it.
            #[must_use]
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }

            /// The variant a word stands for.
            #[must_use]
            pub fn from_word(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|known| known.word() == word)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.word())
            }
        }
    };
}

vocabulary! {
    /// The verdict that a bug check code allows by itself.
    Kind {
        /// Kernel code did something it must not.
        Fault = "fault",
        /// The hardware reported an error.
        Hardware = "hardware",
        /// Something did not finish in time.
        Hang = "hang",
        /// A sleep, wake-up or power-state change went wrong.
        Power = "power",
        /// The machine ran out of something.
        Resource = "resource",
        /// A protection or an integrity check struck.
        Security = "security",
        /// Somebody asked for the crash.
        Requested = "requested",
        /// A test or a checking tool crashed the machine on purpose.
        Test = "test",
        /// A live dump: the machine did not crash.
        Live = "live",
        /// The code alone says nothing.
        Unknown = "unknown",
    }
}

vocabulary! {
    /// A usual cause: a family and, for hardware, the part.
    Cause {
        /// A driver.
        Driver = "driver",
        /// Some hardware.
        Hardware = "hardware",
        /// Main memory.
        HardwareMemory = "hardware/memory",
        /// The processor.
        HardwareCpu = "hardware/cpu",
        /// A drive, its controller or cable.
        HardwareStorage = "hardware/storage",
        /// The graphics card.
        HardwareGpu = "hardware/gpu",
        /// The mainboard or its firmware.
        HardwareBoardFirmware = "hardware/board-firmware",
        /// Power supply or cooling.
        HardwarePowerThermal = "hardware/power-thermal",
        /// Windows itself.
        Os = "os",
        /// Third-party software that interferes with the kernel.
        ThirdPartyConflict = "third-party-conflict",
        /// Damaged system files or registry.
        CorruptedFiles = "corrupted-files",
    }
}

impl Cause {
    /// The family: `driver`, `hardware`, `os`, `third-party-conflict` or `corrupted-files`.
    #[must_use]
    pub fn family(self) -> &'static str {
        let word = self.word();
        word.split_once('/').map_or(word, |(family, _)| family)
    }

    /// The part of the hardware, where one is named.
    #[must_use]
    pub fn part(self) -> Option<&'static str> {
        self.word().split_once('/').map(|(_, part)| part)
    }
}

vocabulary! {
    /// How a bug check parameter's value is written.
    Format {
        /// A hexadecimal number.
        Hex = "hex",
        /// A decimal number.
        Dec = "dec",
        /// A size in bytes.
        Bytes = "bytes",
        /// An address, given with module and offset when it lies in one.
        Address = "address",
        /// The address of a kernel object.
        Object = "object",
        /// An NTSTATUS, with its name.
        Status = "status",
        /// An interrupt request level, with its name.
        Irql = "irql",
        /// How memory was touched: bit 0 write, bit 3 execute, else read.
        Access = "access",
        /// The processor's page-fault error code.
        PageFault = "page-fault",
        /// Characters packed in the number.
        Ascii = "ascii",
        /// A processor's number.
        Cpu = "cpu",
        /// A time in milliseconds.
        Milliseconds = "milliseconds",
        /// A time in seconds.
        Seconds = "seconds",
        /// A time in clock ticks.
        Ticks = "ticks",
        /// The contents of an entry that should be empty: one bit set means a bit flipped in memory.
        OneBit = "one-bit",
        /// One of the values listed with the bug check.
        Value = "value",
        /// Selects the case that gives the other parameters their meaning.
        Case = "case",
        /// Says nothing.
        Reserved = "reserved",
    }
}

vocabulary! {
    /// What a kernel module does.
    Role {
        /// The kernel itself and what is loaded with it.
        Kernel = "kernel",
        /// The hardware abstraction layer and its extensions.
        Hal = "hal",
        /// A file system.
        Filesystem = "filesystem",
        /// A filter over file systems or volumes.
        Filter = "filter",
        /// Drives, controllers, volumes.
        Storage = "storage",
        /// Network adapters and protocols.
        Network = "network",
        /// Wi-Fi adapters.
        Wifi = "wifi",
        /// Bluetooth.
        Bluetooth = "bluetooth",
        /// Graphics.
        Graphics = "graphics",
        /// USB controllers, hubs and devices.
        Usb = "usb",
        /// Keyboards, mice, touch, game controllers.
        Input = "input",
        /// Sound.
        Audio = "audio",
        /// Cameras and capture cards.
        Camera = "camera",
        /// Processor power, sleep, batteries, temperatures.
        Power = "power",
        /// Buses, chipsets and platform devices.
        Platform = "platform",
        /// Printers and scanners.
        Printing = "printing",
        /// Virtual machines, as host or guest.
        Virtualisation = "virtualisation",
        /// Security that belongs to Windows or to a vendor's firmware.
        Security = "security",
        /// Antivirus and endpoint protection.
        Antivirus = "antivirus",
        /// Anti-cheat of games.
        AntiCheat = "anti-cheat",
        /// Virtual private networks and tunnels.
        Vpn = "vpn",
        /// Overclocking, tuning, lighting, hardware monitoring.
        Tuning = "tuning",
        /// Backup, imaging, encryption of volumes, virtual drives.
        Backup = "backup",
        /// Debugging, tracing and capture.
        Diagnostics = "diagnostics",
        /// Driver frameworks and class libraries.
        Framework = "framework",
    }
}
