// What the kernel's own files share. Structures that Windows documents in its public symbols are laid out as in 19041: for the
// large ones, of which this kernel uses a few members, AT(offset, member) puts each member at its place.
#pragma once
#include "ntddk.h"

#define AT(Offset, Member)                                                                                                                  \
    struct __attribute__((packed)) {                                                                                                        \
        UCHAR AT_PAD(__LINE__)[Offset];                                                                                                     \
        Member;                                                                                                                             \
    }
#define AT_PAD(Line) AT_PAD_(Line)
#define AT_PAD_(Line) Pad##Line
#define AT_SIZE(Size) UCHAR AllBytes[Size]

typedef struct _M128A {
    ULONG64 Low;
    LONGLONG High;
} __attribute__((aligned(16))) M128A;

typedef struct _CONTEXT {
    ULONG64 P1Home, P2Home, P3Home, P4Home, P5Home, P6Home;
    ULONG ContextFlags, MxCsr;
    USHORT SegCs, SegDs, SegEs, SegFs, SegGs, SegSs;
    ULONG EFlags;
    ULONG64 Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
    ULONG64 Rax, Rcx, Rdx, Rbx, Rsp, Rbp, Rsi, Rdi, R8, R9, R10, R11, R12, R13, R14, R15, Rip;
    UCHAR FltSave[512];
    M128A VectorRegister[26];
    ULONG64 VectorControl, DebugControl, LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
} __attribute__((aligned(16))) CONTEXT;

typedef struct _EXCEPTION_RECORD {
    NTSTATUS ExceptionCode;
    ULONG ExceptionFlags;
    struct _EXCEPTION_RECORD *ExceptionRecord;
    PVOID ExceptionAddress;
    ULONG NumberParameters;
    ULONG64 ExceptionInformation[15];
} EXCEPTION_RECORD;

typedef struct _KTRAP_FRAME {
    ULONG64 P1Home, P2Home, P3Home, P4Home, P5;
    CHAR PreviousMode;
    KIRQL PreviousIrql;
    UCHAR FaultIndicator, ExceptionActive;
    ULONG MxCsr;
    ULONG64 Rax, Rcx, Rdx, R8, R9, R10, R11, GsBase;
    M128A Xmm0, Xmm1, Xmm2, Xmm3, Xmm4, Xmm5;
    ULONG64 FaultAddress, Dr0, Dr1, Dr2, Dr3, Dr6, Dr7;
    ULONG64 DebugControl, LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
    USHORT SegDs, SegEs, SegFs, SegGs;
    ULONG64 TrapFrame, Rbx, Rdi, Rsi, Rbp, ErrorCode, Rip;
    USHORT SegCs;
    UCHAR Fill0, Logging;
    USHORT Fill1[2];
    ULONG EFlags, Fill2;
    ULONG64 Rsp;
    USHORT SegSs, Fill3;
    ULONG Fill4;
} KTRAP_FRAME;

typedef struct _KEXCEPTION_FRAME {
    ULONG64 P1Home, P2Home, P3Home, P4Home, P5, Spare1;
    M128A Xmm6, Xmm7, Xmm8, Xmm9, Xmm10, Xmm11, Xmm12, Xmm13, Xmm14, Xmm15;
    ULONG64 TrapFrame, OutputBuffer, OutputLength, Spare2, MxCsr, Rbp, Rbx, Rdi, Rsi, R12, R13, R14, R15, Return;
} KEXCEPTION_FRAME;

typedef struct _KDESCRIPTOR {
    USHORT Pad[3], Limit;
    PVOID Base;
} KDESCRIPTOR;

typedef struct _KSPECIAL_REGISTERS {
    ULONG64 Cr0, Cr2, Cr3, Cr4, KernelDr0, KernelDr1, KernelDr2, KernelDr3, KernelDr6, KernelDr7;
    KDESCRIPTOR Gdtr, Idtr;
    USHORT Tr, Ldtr;
    ULONG MxCsr;
    ULONG64 DebugControl, LastBranchToRip, LastBranchFromRip, LastExceptionToRip, LastExceptionFromRip;
    ULONG64 Cr8, MsrGsBase, MsrGsSwap, MsrStar, MsrLStar, MsrCStar, MsrSyscallMask, Xcr0, MsrFsBase, SpecialPadding0;
} KSPECIAL_REGISTERS;

typedef struct _KPROCESSOR_STATE {
    KSPECIAL_REGISTERS SpecialRegisters;
    CONTEXT ContextFrame;
} KPROCESSOR_STATE;

typedef struct _KPROCESS {
    union {
        AT(0x0, DISPATCHER_HEADER Header);
        AT(0x28, ULONG64 DirectoryTableBase);
        AT(0x30, LIST_ENTRY ThreadListHead);
        AT_SIZE(0x438);
    };
} __attribute__((aligned(8))) KPROCESS;

typedef struct _EPROCESS {
    union {
        AT(0x0, KPROCESS Pcb);
        AT(0x440, PVOID UniqueProcessId);
        AT(0x448, LIST_ENTRY ActiveProcessLinks);
        AT(0x468, LARGE_INTEGER CreateTime);
        AT(0x540, PVOID InheritedFromUniqueProcessId);
        AT(0x550, PVOID Peb);
        AT(0x558, PVOID Session);
        AT(0x570, PVOID ObjectTable);
        AT(0x580, PVOID WoW64Process);
        AT(0x5a8, UCHAR ImageFileName[15]);
        AT(0x5b7, UCHAR PriorityClass);
        AT(0x5e0, LIST_ENTRY ThreadListHead);
        AT(0x5f0, ULONG ActiveThreads);
        AT(0x840, LARGE_INTEGER ExitTime);
        AT_SIZE(0xa40);
    };
} __attribute__((aligned(16))) EPROCESS;

typedef struct _CLIENT_ID {
    PVOID UniqueProcess, UniqueThread;
} CLIENT_ID;

typedef struct _KAPC_STATE {
    LIST_ENTRY ApcListHead[2];
    KPROCESS *Process;
    UCHAR InProgressFlags, KernelApcPending, UserApcPendingAll;
} KAPC_STATE;

typedef struct _KTHREAD {
    union {
        AT(0x0, DISPATCHER_HEADER Header);
        AT(0x28, PVOID InitialStack);
        AT(0x30, PVOID StackLimit);
        AT(0x38, PVOID StackBase);
        AT(0x58, PVOID KernelStack);
        AT(0x71, UCHAR Running);
        AT(0x80, ULONG SystemCallNumber);
        AT(0x90, KTRAP_FRAME *TrapFrame);
        AT(0x98, KAPC_STATE ApcState);
        AT(0xc3, CHAR Priority);
        AT(0x184, UCHAR State);
        AT(0x187, CHAR WaitMode);
        AT(0x220, KPROCESS *Process);
        AT(0x232, CHAR PreviousMode);
        AT(0x283, UCHAR WaitReason);
        AT(0x2f8, LIST_ENTRY ThreadListEntry);
        AT_SIZE(0x430);
    };
} __attribute__((aligned(8))) KTHREAD;

typedef struct _ETHREAD {
    union {
        AT(0x0, KTHREAD Tcb);
        AT(0x450, PVOID StartAddress);
        AT(0x478, CLIENT_ID Cid);
        AT(0x4b0, LIST_ENTRY IrpList);
        AT(0x4d0, PVOID Win32StartAddress);
        AT(0x4e8, LIST_ENTRY ThreadListEntry);
        AT_SIZE(0x898);
    };
} __attribute__((aligned(8))) ETHREAD;

typedef struct _KPRCB {
    union {
        AT(0x0, ULONG MxCsr);
        AT(0x8, KTHREAD *CurrentThread);
        AT(0x10, KTHREAD *NextThread);
        AT(0x18, KTHREAD *IdleThread);
        AT(0x24, ULONG Number);
        AT(0x28, ULONG64 RspBase);
        AT(0x40, CHAR CpuType);
        AT(0x41, CHAR CpuID);
        AT(0x42, USHORT CpuStep);
        AT(0x44, ULONG MHz);
        AT(0x88, USHORT MinorVersion);
        AT(0x8a, USHORT MajorVersion);
        AT(0x8d, UCHAR CpuVendor);
        AT(0x100, KPROCESSOR_STATE ProcessorState);
        AT(0x30a0, PVOID CurrentDpcRoutine);
        AT(0x3110, PVOID DpcStack);
        AT(0x312a, UCHAR DpcRoutineActive);
        AT(0x8590, UCHAR VendorString[13]);
        AT(0x85c0, CONTEXT *Context);
        AT_SIZE(0xaf00);
    };
} __attribute__((aligned(64))) KPRCB;

typedef struct _KPCR {
    union {
        AT(0x0, PVOID GdtBase);
        AT(0x8, PVOID TssBase);
        AT(0x10, ULONG64 UserRsp);
        AT(0x18, struct _KPCR *Self);
        AT(0x20, KPRCB *CurrentPrcb);
        AT(0x30, PVOID Used_Self);
        AT(0x38, PVOID IdtBase);
        AT(0x50, KIRQL Irql);
        AT(0x60, USHORT MajorVersion);
        AT(0x62, USHORT MinorVersion);
        AT(0x108, PVOID KdVersionBlock);
        AT(0x180, KPRCB Prcb);
        AT_SIZE(0xb080);
    };
} __attribute__((aligned(4096))) KPCR;

typedef struct _KLDR_DATA_TABLE_ENTRY {
    LIST_ENTRY InLoadOrderLinks;
    PVOID ExceptionTable;
    ULONG ExceptionTableSize;
    PVOID GpValue, NonPagedDebugInfo, DllBase, EntryPoint;
    ULONG SizeOfImage;
    UNICODE_STRING FullDllName, BaseDllName;
    ULONG Flags;
    USHORT LoadCount, Unused5;
    PVOID SectionPointer;
    ULONG CheckSum, CoverageSectionSize;
    PVOID CoverageSection, LoadedImports, Spare;
    ULONG SizeOfImageNotRounded, TimeDateStamp;
} KLDR_DATA_TABLE_ENTRY;

typedef struct _POOL_HEADER {
    UCHAR PreviousSize, PoolIndex, BlockSize, PoolType;
    ULONG PoolTag;
    EPROCESS *ProcessBilled;
} POOL_HEADER;

// Not in the public symbols; as debuggers and volatility3 read it.
typedef struct _UNLOADED_DRIVERS {
    UNICODE_STRING Name;
    PVOID StartAddress, EndAddress;
    LARGE_INTEGER CurrentTime;
} UNLOADED_DRIVERS;
#define MI_UNLOADED_DRIVERS 50

// ---- what the host fills in before the machine starts

typedef struct _LAB_BOOT_MODULE {
    ULONG64 Base, Size, Entry;
    ULONG TimeDateStamp, CheckSum;
    WCHAR Name[32];
} LAB_BOOT_MODULE;

typedef struct _LAB_BOOT_BLOCK {
    ULONG64 Magic, Cr3, FreePages, FreePageCount;
    ULONG64 StackBase, StackLimit;
    ULONG64 UserCode, UserStackBase, ModuleCount;
    LAB_BOOT_MODULE Modules[12];
} LAB_BOOT_BLOCK;

// Where the host has mapped memory (pool) or made page tables without pages (large pool, stacks).
#define MM_POOL_BASE 0xffffa50d1c200000ull
#define MM_POOL_SIZE 0x40000
#define MM_LARGE_POOL_BASE 0xffffa50d1c400000ull
#define MM_LARGE_POOL_SIZE 0x200000
#define MM_STACKS_BASE 0xfffffe0ad4a00000ull
#define KERNEL_STACK_SIZE 0x6000

#define KGDT64_R0_CODE 0x10
#define KGDT64_R0_DATA 0x18
#define KGDT64_R3_DATA 0x28
#define KGDT64_R3_CODE 0x30
#define KGDT64_SYS_TSS 0x40

// ---- data

NTKERNELAPI extern KPCR KiInitialPCR;
NTKERNELAPI extern EPROCESS KiInitialProcess;
NTKERNELAPI extern ETHREAD KiSystemThread, KiIdleThread, KiUserThread;
NTKERNELAPI extern EPROCESS KiUserProcess;
NTKERNELAPI extern LIST_ENTRY PsLoadedModuleList, PsActiveProcessHead;
NTKERNELAPI extern volatile LAB_BOOT_BLOCK KiBootBlock;
NTKERNELAPI extern ULONG64 KiBugCheckData[5];
NTKERNELAPI extern PVOID MmUnloadedDrivers;
NTKERNELAPI extern ULONG MmLastUnloadedDriver;
extern ULONG64 Gdt[16], Idt[512];
extern UCHAR KiTss[0x68];
extern UCHAR KiDoubleFaultStack[KERNEL_STACK_SIZE], KiNmiStack[KERNEL_STACK_SIZE];

static inline KPCR *KeGetPcr(void) {
    KPCR *Pcr;
    __asm__ volatile("movq %%gs:0x18,%0" : "=r"(Pcr));
    return Pcr;
}
static inline KPRCB *KeGetCurrentPrcb(void) { return KeGetPcr()->CurrentPrcb; }
static inline KTHREAD *KeGetCurrentThread(void) { return KeGetCurrentPrcb()->CurrentThread; }

// ---- trap.s, context.s
VOID KiDivideErrorFault(void), KiNmiInterrupt(void), KiBreakpointTrap(void), KiInvalidOpcodeFault(void), KiDoubleFaultAbort(void);
VOID KiGeneralProtectionFault(void), KiPageFault(void), KiRaiseSecurityCheckFailure(void), KiSystemCall64(void);
VOID KiExceptionDispatch(NTSTATUS Code, ULONG Count, ULONG64 Address, ULONG64 P1, ULONG64 P2, KTRAP_FRAME *TrapFrame);
VOID KiBugCheckDispatch(ULONG Code, ULONG64 P1, ULONG64 P2, ULONG64 P3, ULONG64 P4);
VOID KiSwapContext(PVOID *SaveStackHere, PVOID NewStack);
VOID KiStartSystemThread(void), KiStartUserThread(PVOID Code, PVOID Stack);
VOID RtlCaptureContext(CONTEXT *Context);
extern UCHAR KiUserProgram[], KiUserProgramEnd[];

// ---- rtl.c, unwind.c, exception.c
typedef struct _RUNTIME_FUNCTION {
    ULONG BeginAddress, EndAddress, UnwindData;
} RUNTIME_FUNCTION;
typedef LONG EXCEPTION_ROUTINE(EXCEPTION_RECORD *Record, PVOID EstablisherFrame, CONTEXT *Context, PVOID DispatcherContext);
KLDR_DATA_TABLE_ENTRY *MiLookupDataTableEntry(ULONG64 Address);
RUNTIME_FUNCTION *RtlLookupFunctionEntry(ULONG64 Address, ULONG64 *ImageBase);
EXCEPTION_ROUTINE *RtlVirtualUnwind(ULONG64 ImageBase, ULONG64 Address, RUNTIME_FUNCTION *Function, CONTEXT *Context, PVOID *HandlerData,
                                    ULONG64 *EstablisherFrame);
LONG PspUnhandledExceptionInSystemThread(PVOID ExceptionPointers);

// ---- ki.c, mm.c, pool.c, io.c, ps.c, power.c, kdbg.c
VOID KdInitialize(void);
VOID MmInitialize(void), ExInitializePool(void);
VOID KiInitializeProcessorTables(void);
VOID KiRetireDpcList(void), KiTimerExpiration(void), KiRunIdle(void);
VOID PsInitialize(void), PsRunUserProgram(void);
VOID PspInsertThread(ETHREAD *Thread, EPROCESS *Process, ULONG64 Id, PVOID Start, ULONG64 StackBase, ULONG64 StackLimit);
VOID PspSwitchTo(ETHREAD *Thread);
ULONG64 MmCreateKernelStack(void);
PVOID MiMapPages(ULONG64 Address, ULONG64 Pages);
VOID MiUnmapPages(ULONG64 Address, ULONG64 Pages);
ULONG64 *MiGetPteAddress(ULONG64 Address);
ULONG64 MiGetPhysicalAddress(PVOID Address);
VOID MmAccessFault(KTRAP_FRAME *TrapFrame);
UNLOADED_DRIVERS *MiLocateUnloadedDriver(ULONG64 Address);
VOID IoInitSystem(void), IoUnloadDrivers(void), PoSleep(void);
PDEVICE_OBJECT IopDeviceByHandle(ULONG64 Handle);
PDEVICE_OBJECT IopLowestDevice(ULONG Index);
PIRP IoAllocateIrp(CCHAR StackSize);
NTSTATUS NtDeviceIoControlFile(ULONG64 Handle, ULONG64 Code);
VOID KiInsertModule(ULONG Index);
VOID ObRenameString(PUNICODE_STRING Target, const WCHAR *Prefix, const volatile WCHAR *Name);
