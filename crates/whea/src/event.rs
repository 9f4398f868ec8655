//! Entries of the WHEA event log: what Windows notes about its own error handling (`WHEA_EVENT_LOG_ENTRY` of the SDK).
//!
//! They are no errors of hardware. The header is 32 bytes; the payload belongs to the event and is kept as it stands.

use crate::bytes::Bytes;
use crate::words::{coded, set_bits};
use crate::{Error, Note, Parsed};

pub(crate) const SIGNATURE: u32 = u32::from_le_bytes(*b"WhLg");
const HEADER_SIZE: usize = 32;

coded! {
    /// How serious an event is.
    EventKind {
        Informational = 0 => "informational",
        Warning = 1 => "warning",
        Error = 2 => "error",
    }
}

/// `WHEA_EVENT_LOG_ENTRY_FLAGS`.
const FLAGS: &[(u32, &str)] = &[
    (1, "log to event tracing"),
    (2, "log to black box"),
    (3, "log to system event log"),
    (4, "raw system event log"),
    (5, "no format"),
    (6, "driver"),
];

/// An entry of the WHEA event log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Format version.
    pub version: u32,
    /// The length the entry claims.
    pub length: u32,
    /// How serious it is.
    pub kind: EventKind,
    /// Four letters naming the part of Windows that logged it, such as `KRNL` or `PSHD`.
    pub owner: String,
    /// Which event.
    pub id: u32,
    /// Bits as in [`Event::flag_names`].
    pub flags: u32,
    /// The event's own data.
    pub payload: Vec<u8>,
}

impl Event {
    /// Reads an entry.
    ///
    /// # Errors
    /// If the bytes are fewer than a header or do not start with `WhLg`.
    pub fn parse(bytes: &[u8]) -> Result<Parsed<Self>, Error> {
        const WHAT: &str = "a WHEA event log entry (WhLg)";
        let b = Bytes(bytes);
        if let Some(found) = b.u32(0).filter(|&s| s != SIGNATURE) {
            return Err(Error::WrongSignature { what: WHAT, found, expected: SIGNATURE });
        }
        let mut notes = Vec::new();
        let value = Self::read(b, &mut notes).ok_or(Error::TooShort { what: WHAT, have: bytes.len(), need: HEADER_SIZE })?;
        Ok(Parsed { value, notes })
    }

    fn read(b: Bytes<'_>, notes: &mut Vec<Note>) -> Option<Self> {
        let (length, payload_length) = (b.u32(8)?, b.u32(28)?);
        let claimed = usize::try_from(payload_length).unwrap_or(usize::MAX);
        let rest = b.rest(HEADER_SIZE).0;
        let payload = rest.get(..claimed).unwrap_or_else(|| {
            let text = format!("the payload claims {claimed} bytes, but only {} are here", rest.len());
            notes.push(Note::new(28, text));
            rest
        });
        if u64::from(length) != u64::from(payload_length) + HEADER_SIZE as u64 {
            notes.push(Note::new(8, format!("length {length} does not fit a payload of {payload_length} bytes")));
        }
        Some(Self {
            version: b.u32(4)?,
            length,
            kind: EventKind::from_code(b.u32(12)?.into()),
            owner: b.text(16, 4)?,
            id: b.u32(20)?,
            flags: b.u32(24)?,
            payload: payload.to_vec(),
        })
    }

    /// The event's symbolic name in the SDK.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        NAMES.iter().find(|(id, _)| *id == self.id).map(|(_, name)| *name)
    }

    /// The set flags in words.
    #[must_use]
    pub fn flag_names(&self) -> Vec<String> {
        set_bits(self.flags.into(), FLAGS)
    }
}

/// `WHEA_EVENT_LOG_ENTRY_ID`, without its prefix.
const NAMES: &[(u32, &str)] = &[
    (0x8000_0001, "CmcPollingTimeout"),
    (0x8000_0002, "WheaInit"),
    (0x8000_0003, "CmcSwitchToPolling"),
    (0x8000_0004, "DroppedCorrectedError"),
    (0x8000_0005, "StartedReportHwError"),
    (0x8000_0006, "PFAMemoryOfflined"),
    (0x8000_0007, "PFAMemoryRemoveMonitor"),
    (0x8000_0008, "PFAMemoryPolicy"),
    (0x8000_0009, "PshedInjectError"),
    (0x8000_000a, "OscCapabilities"),
    (0x8000_000b, "PshedPluginRegister"),
    (0x8000_000c, "AddRemoveErrorSource"),
    (0x8000_000d, "WorkQueueItem"),
    (0x8000_000e, "AttemptErrorRecovery"),
    (0x8000_000f, "McaFoundErrorInBank"),
    (0x8000_0010, "McaStuckErrorCheck"),
    (0x8000_0011, "McaErrorCleared"),
    (0x8000_0012, "ClearedPoison"),
    (0x8000_0013, "ProcessEINJ"),
    (0x8000_0014, "ProcessHEST"),
    (0x8000_0015, "CreateGenericRecord"),
    (0x8000_0016, "ErrorRecord"),
    (0x8000_0017, "ErrorRecordLimit"),
    (0x8000_0018, "AerNotGrantedToOs"),
    (0x8000_0019, "ErrSrcArrayInvalid"),
    (0x8000_001a, "AcpiTimeOut"),
    (0x8000_001b, "CmciRestart"),
    (0x8000_001c, "CmciFinalRestart"),
    (0x8000_001d, "EtwOverFlow"),
    (0x8000_001e, "AzccRootBusSearchErr"),
    (0x8000_001f, "AzccRootBusList"),
    (0x8000_0020, "ErrSrcInvalid"),
    (0x8000_0021, "GenericErrMemMap"),
    (0x8000_0022, "PshedCallbackCollision"),
    (0x8000_0023, "SELBugCheckProgress"),
    (0x8000_0024, "PshedPluginLoad"),
    (0x8000_0025, "PshedPluginUnload"),
    (0x8000_0026, "PshedPluginSupported"),
    (0x8000_0027, "DeviceDriver"),
    (0x8000_0028, "CmciImplPresent"),
    (0x8000_0029, "CmciInitError"),
    (0x8000_002a, "SELBugCheckRecovery"),
    (0x8000_002b, "DrvErrSrcInvalid"),
    (0x8000_002c, "DrvHandleBusy"),
    (0x8000_002d, "WheaHeartbeat"),
    (0x8000_002e, "AzccRootBusPoisonSet"),
    (0x8000_002f, "SELBugCheckInfo"),
    (0x8000_0030, "ErrDimmInfoMismatch"),
    (0x8000_0031, "eDpcEnabled"),
    (0x8000_0032, "PageOfflineDone"),
    (0x8000_0033, "PageOfflinePendMax"),
    (0x8000_0034, "BadPageLimitReached"),
    (0x8000_0035, "SrarDetail"),
    (0x8000_0036, "EarlyError"),
    (0x8000_0037, "PcieOverrideInfo"),
    (0x8000_0038, "ReadPcieOverridesErr"),
    (0x8000_0039, "PcieConfigInfo"),
    (0x8000_0040, "PcieSummaryFailed"),
    (0x8000_0041, "ThrottleRegCorrupt"),
    (0x8000_0042, "ThrottleAddErrSrcFailed"),
    (0x8000_0043, "ThrottleRegDataIgnored"),
    (0x8000_0044, "EnableKeyNotifFailed"),
    (0x8000_0045, "KeyNotificationFailed"),
    (0x8000_0046, "PcieRemoveDevice"),
    (0x8000_0047, "PcieAddDevice"),
    (0x8000_0048, "PcieSpuriousErrSource"),
    (0x8000_0049, "MemoryAddDevice"),
    (0x8000_004a, "MemoryRemoveDevice"),
    (0x8000_004b, "MemorySummaryFailed"),
    (0x8000_004c, "PcieDpcError"),
    (0x8000_004d, "CpuBusesInitFailed"),
    (0x8000_004e, "PshedPluginInitFailed"),
    (0x8000_004f, "FailedAddToDefectList"),
    (0x8000_0050, "DefectListFull"),
    (0x8000_0051, "DefectListUEFIVarFailed"),
    (0x8000_0052, "DefectListCorrupt"),
    (0x8000_0053, "BadHestNotifyData"),
    (0x8000_0054, "RowFailure"),
    (0x8000_0055, "SrasTableNotFound"),
    (0x8000_0056, "SrasTableError"),
    (0x8000_0057, "SrasTableEntries"),
    (0x8000_0058, "PFANotifyCallbackAction"),
    (0x8000_0059, "SELBugCheckCpusQuiesced"),
    (0x8000_005a, "PshedPiCpuid"),
    (0x8000_005b, "SrasTableBadData"),
    (0x8000_005c, "DriFsStatus"),
    (0x8000_0060, "CpusFrozen"),
    (0x8000_0061, "CpusFrozenNoCrashDump"),
    (0x8000_0062, "RegNotifyPolicyChange"),
    (0x8000_0063, "RegError"),
    (0x8000_0064, "RowOfflineEvent"),
    (0x8000_0065, "BitOfflineEvent"),
    (0x8000_0066, "BadGasFields"),
    (0x8000_0067, "CrashDumpError"),
    (0x8000_0068, "CrashDumpCheckpoint"),
    (0x8000_0069, "CrashDumpProgressPercent"),
    (0x8000_006a, "PreviousCrashBugCheckProgress"),
    (0x8000_006b, "SELBugCheckStackDump"),
    (0x8000_006c, "PciePromotedAerErr"),
    (0x8000_006d, "CrashDumpGuid"),
    (0x8000_006e, "DumpGUIDStatus"),
    (0x8000_006f, "ProcessEINJ2"),
    (0x8000_0070, "PshedWriteVendorDefined"),
    (0x8000_0071, "PshedReadVendorDefined"),
    (0x8000_0072, "ImpiOnline"),
    (0x8000_0073, "ImpiSubscribe"),
    (0x8000_0074, "ServerType"),
    (0x8000_0075, "ErrorRecordFull"),
    (0x8000_0076, "PluginIncorrectBufferRead"),
    (0x8004_0010, "PshedPiTraceLog"),
];
