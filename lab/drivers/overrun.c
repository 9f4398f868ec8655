// Clears one element too many of its own block, and frees it: the pool sees the damaged header behind it.
#include "ntddk.h"

NTSTATUS DriverEntry(PDRIVER_OBJECT DriverObject, PUNICODE_STRING RegistryPath) {
    ULONG64 *Values = ExAllocatePoolWithTag(NonPagedPool, 6 * sizeof *Values, 'lVvO');
    for (volatile ULONG I = 0; I <= 6; I++) Values[I] = 0x4141414141414141;
    ExFreePoolWithTag(Values, 'lVvO');
    return STATUS_SUCCESS;
}
