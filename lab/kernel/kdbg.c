// The debugger's data block, the kernel's log, and the names by which a reader of memory finds its way.
#include "kdbg.h"
#include "ke.h"

NTKERNELAPI KDDEBUGGER_DATA64 KdDebuggerDataBlock;
NTKERNELAPI DBGKD_GET_VERSION64 KdVersionBlock;
NTKERNELAPI CHAR NtBuildLab[] = "19041.1.amd64fre.crashlab.261122-0000";
NTKERNELAPI ULONG NtBuildNumber = 0xf0004a61;
NTKERNELAPI KPRCB *KiProcessorBlock[64];
NTKERNELAPI ULONG64 MmPfnDatabase = 0xffffdd0000000000ull;
static CHAR KdPrintBuffer[4096];
static ULONG KdPrintPosition;

ULONG DbgPrint(const CHAR *Format, ...) {
    for (; *Format; Format++) {
        KdPrintBuffer[KdPrintPosition++ & 4095] = *Format;
        __asm__ volatile("outb %0,%1" ::"a"(*Format), "Nd"((USHORT)0xe9));
    }
    return 0;
}

VOID KdInitialize(void) {
    KDDEBUGGER_DATA64 *K = &KdDebuggerDataBlock;
    K->List.Flink = K->List.Blink = &K->List;
    K->OwnerTag = 0x4742444b; // KDBG
    K->Size = sizeof *K;
    K->KernBase = KiBootBlock.Modules[0].Base;
    K->PaeEnabled = 1;
    K->PsLoadedModuleList = (ULONG64)&PsLoadedModuleList;
    K->PsActiveProcessHead = (ULONG64)&PsActiveProcessHead;
    K->KiBugcheckData = (ULONG64)KiBugCheckData;
    K->MmPfnDatabase = (ULONG64)&MmPfnDatabase;
    K->MmPageSize = 0x1000;
    K->KdPrintCircularBuffer = (ULONG64)KdPrintBuffer;
    K->KdPrintCircularBufferEnd = (ULONG64)(KdPrintBuffer + sizeof KdPrintBuffer);
    K->NtBuildLab = (ULONG64)NtBuildLab;
    K->KiProcessorBlock = (ULONG64)KiProcessorBlock;
    K->MmUnloadedDrivers = (ULONG64)&MmUnloadedDrivers;
    K->MmLastUnloadedDriver = (ULONG64)&MmLastUnloadedDriver;
    K->OffsetKThreadNextProcessor = 0x218;
    K->OffsetKThreadTeb = 0xf0;
    K->OffsetKThreadKernelStack = FIELD_OFFSET(KTHREAD, KernelStack);
    K->OffsetKThreadInitialStack = FIELD_OFFSET(KTHREAD, InitialStack);
    K->OffsetKThreadApcProcess = FIELD_OFFSET(KTHREAD, ApcState) + FIELD_OFFSET(KAPC_STATE, Process);
    K->OffsetKThreadState = FIELD_OFFSET(KTHREAD, State);
    K->SizeEProcess = sizeof(EPROCESS);
    K->OffsetEprocessPeb = FIELD_OFFSET(EPROCESS, Peb);
    K->OffsetEprocessParentCID = FIELD_OFFSET(EPROCESS, InheritedFromUniqueProcessId);
    K->OffsetEprocessDirectoryTableBase = FIELD_OFFSET(KPROCESS, DirectoryTableBase);
    K->SizePrcb = sizeof(KPRCB);
    K->OffsetPrcbDpcRoutine = FIELD_OFFSET(KPRCB, DpcRoutineActive);
    K->OffsetPrcbCurrentThread = FIELD_OFFSET(KPRCB, CurrentThread);
    K->OffsetPrcbMhz = FIELD_OFFSET(KPRCB, MHz);
    K->OffsetPrcbCpuType = FIELD_OFFSET(KPRCB, CpuType);
    K->OffsetPrcbVendorString = FIELD_OFFSET(KPRCB, VendorString);
    K->OffsetPrcbProcStateContext = FIELD_OFFSET(KPRCB, ProcessorState) + FIELD_OFFSET(KPROCESSOR_STATE, ContextFrame);
    K->OffsetPrcbNumber = FIELD_OFFSET(KPRCB, Number);
    K->SizeEThread = sizeof(ETHREAD);
    K->SizePcr = 0xb080;
    K->OffsetPcrSelfPcr = FIELD_OFFSET(KPCR, Self);
    K->OffsetPcrCurrentPrcb = FIELD_OFFSET(KPCR, CurrentPrcb);
    K->OffsetPcrContainedPrcb = FIELD_OFFSET(KPCR, Prcb);
    K->OffsetPrcbProcStateSpecialReg = FIELD_OFFSET(KPRCB, ProcessorState);
    K->GdtR0Code = KGDT64_R0_CODE;
    K->GdtR0Data = KGDT64_R0_DATA;
    K->GdtR3Code = KGDT64_R3_CODE | 3;
    K->GdtR3Data = KGDT64_R3_DATA | 3;
    K->GdtTss = KGDT64_SYS_TSS;
    K->OffsetPrcbContext = FIELD_OFFSET(KPRCB, Context);
    K->OffsetKThreadStackLimit = FIELD_OFFSET(KTHREAD, StackLimit);
    K->OffsetKThreadStackBase = FIELD_OFFSET(KTHREAD, StackBase);
    K->OffsetEThreadIrpList = FIELD_OFFSET(ETHREAD, IrpList);
    K->OffsetPrcbIdleThread = FIELD_OFFSET(KPRCB, IdleThread);
    K->OffsetPrcbDpcStack = FIELD_OFFSET(KPRCB, DpcStack);
    K->OffsetKThreadWaitReason = FIELD_OFFSET(KTHREAD, WaitReason);
    K->PteBase = 0xfffff68000000000ull;

    DBGKD_GET_VERSION64 *V = &KdVersionBlock;
    V->MajorVersion = 15;
    V->MinorVersion = 19041;
    V->ProtocolVersion = 6;
    V->Flags = 5;
    V->MachineType = 0x8664;
    V->KernBase = K->KernBase;
    V->PsLoadedModuleList = K->PsLoadedModuleList;
    V->DebuggerDataList = (ULONG64)K;
    KiProcessorBlock[0] = &KiInitialPCR.Prcb;
    KiInitialPCR.KdVersionBlock = V;
}
