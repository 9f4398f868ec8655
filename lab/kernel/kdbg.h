// KDDEBUGGER_DATA64, the block by which debuggers find the kernel: member order of wdbgexts.h in the Windows SDK.
#pragma once
#include "ntdef.h"

typedef struct _KDDEBUGGER_DATA64 {
    LIST_ENTRY List;
    ULONG OwnerTag, Size;
    ULONG64 KernBase, BreakpointWithStatus, SavedContext;
    USHORT ThCallbackStack, NextCallback, FramePointer, PaeEnabled;
    ULONG64 KiCallUserMode, KeUserCallbackDispatcher, PsLoadedModuleList, PsActiveProcessHead, PspCidTable;
    ULONG64 ExpSystemResourcesList, ExpPagedPoolDescriptor, ExpNumberOfPagedPools, KeTimeIncrement, KeBugCheckCallbackListHead;
    ULONG64 KiBugcheckData, IopErrorLogListHead, ObpRootDirectoryObject, ObpTypeObjectType;
    ULONG64 MmSystemCacheStart, MmSystemCacheEnd, MmSystemCacheWs, MmPfnDatabase, MmSystemPtesStart, MmSystemPtesEnd;
    ULONG64 MmSubsectionBase, MmNumberOfPagingFiles, MmLowestPhysicalPage, MmHighestPhysicalPage, MmNumberOfPhysicalPages;
    ULONG64 MmMaximumNonPagedPoolInBytes, MmNonPagedSystemStart, MmNonPagedPoolStart, MmNonPagedPoolEnd;
    ULONG64 MmPagedPoolStart, MmPagedPoolEnd, MmPagedPoolInformation, MmPageSize, MmSizeOfPagedPoolInBytes;
    ULONG64 MmTotalCommitLimit, MmTotalCommittedPages, MmSharedCommit, MmDriverCommit, MmProcessCommit, MmPagedPoolCommit;
    ULONG64 MmExtendedCommit, MmZeroedPageListHead, MmFreePageListHead, MmStandbyPageListHead, MmModifiedPageListHead;
    ULONG64 MmModifiedNoWritePageListHead, MmAvailablePages, MmResidentAvailablePages, PoolTrackTable, NonPagedPoolDescriptor;
    ULONG64 MmHighestUserAddress, MmSystemRangeStart, MmUserProbeAddress;
    ULONG64 KdPrintCircularBuffer, KdPrintCircularBufferEnd, KdPrintWritePointer, KdPrintRolloverCount, MmLoadedUserImageList;
    ULONG64 NtBuildLab, KiNormalSystemCall, KiProcessorBlock, MmUnloadedDrivers, MmLastUnloadedDriver, MmTriageActionTaken;
    ULONG64 MmSpecialPoolTag, KernelVerifier, MmVerifierData, MmAllocatedNonPagedPool, MmPeakCommitment;
    ULONG64 MmTotalCommitLimitMaximum, CmNtCSDVersion, MmPhysicalMemoryBlock, MmSessionBase, MmSessionSize;
    ULONG64 MmSystemParentTablePage, MmVirtualTranslationBase;
    USHORT OffsetKThreadNextProcessor, OffsetKThreadTeb, OffsetKThreadKernelStack, OffsetKThreadInitialStack;
    USHORT OffsetKThreadApcProcess, OffsetKThreadState, OffsetKThreadBStore, OffsetKThreadBStoreLimit;
    USHORT SizeEProcess, OffsetEprocessPeb, OffsetEprocessParentCID, OffsetEprocessDirectoryTableBase;
    USHORT SizePrcb, OffsetPrcbDpcRoutine, OffsetPrcbCurrentThread, OffsetPrcbMhz, OffsetPrcbCpuType, OffsetPrcbVendorString;
    USHORT OffsetPrcbProcStateContext, OffsetPrcbNumber, SizeEThread;
    UCHAR L1tfHighPhysicalBitIndex, L1tfSwizzleBitIndex;
    ULONG Padding0;
    ULONG64 KdPrintCircularBufferPtr, KdPrintBufferSize, KeLoaderBlock;
    USHORT SizePcr, OffsetPcrSelfPcr, OffsetPcrCurrentPrcb, OffsetPcrContainedPrcb, OffsetPcrInitialBStore;
    USHORT OffsetPcrBStoreLimit, OffsetPcrInitialStack, OffsetPcrStackLimit, OffsetPrcbPcrPage, OffsetPrcbProcStateSpecialReg;
    USHORT GdtR0Code, GdtR0Data, GdtR0Pcr, GdtR3Code, GdtR3Data, GdtR3Teb, GdtLdt, GdtTss, Gdt64R3CmCode, Gdt64R3CmTeb;
    ULONG64 IopNumTriageDumpDataBlocks, IopTriageDumpDataBlocks, VfCrashDataBlock, MmBadPagesDetected;
    ULONG64 MmZeroedPageSingleBitErrorsDetected, EtwpDebuggerData;
    USHORT OffsetPrcbContext, OffsetPrcbMaxBreakpoints, OffsetPrcbMaxWatchpoints;
    ULONG OffsetKThreadStackLimit, OffsetKThreadStackBase, OffsetKThreadQueueListEntry, OffsetEThreadIrpList;
    USHORT OffsetPrcbIdleThread, OffsetPrcbNormalDpcState, OffsetPrcbDpcStack, OffsetPrcbIsrStack;
    USHORT SizeKDPC_STACK_FRAME, OffsetKPriQueueThreadListHead, OffsetKThreadWaitReason, Padding1;
    ULONG64 PteBase, RetpolineStubFunctionTable;
    ULONG RetpolineStubFunctionTableSize, RetpolineStubOffset, RetpolineStubSize;
    USHORT OffsetEProcessMmHotPatchContext, Padding2;
} KDDEBUGGER_DATA64;
_Static_assert(__builtin_offsetof(KDDEBUGGER_DATA64, KiProcessorBlock) == 0x218, "KiProcessorBlock");
_Static_assert(__builtin_offsetof(KDDEBUGGER_DATA64, OffsetKThreadNextProcessor) == 0x298, "OffsetKThreadNextProcessor");
_Static_assert(__builtin_offsetof(KDDEBUGGER_DATA64, OffsetPrcbContext) == 0x338, "OffsetPrcbContext");
_Static_assert(__builtin_offsetof(KDDEBUGGER_DATA64, PteBase) == 0x360, "PteBase");

typedef struct _DBGKD_GET_VERSION64 {
    USHORT MajorVersion, MinorVersion;
    UCHAR ProtocolVersion, KdSecondaryVersion;
    USHORT Flags, MachineType;
    UCHAR MaxPacketType, MaxStateChange, MaxManipulate, Simulation;
    USHORT Unused;
    ULONG64 KernBase, PsLoadedModuleList, DebuggerDataList;
} DBGKD_GET_VERSION64;
