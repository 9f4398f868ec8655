// The driver of the article that this project began with, to the letter: it writes through a null pointer.
#include "ntddk.h"

NTSTATUS DriverEntry(PDRIVER_OBJECT pDriverObject, PUNICODE_STRING pRegistryPath) {
    PDEVICE_OBJECT pDeviceObject;
    UNICODE_STRING deviceName;
    RtlInitUnicodeString(&deviceName, L"\\??\\MyDevice");
    IoCreateDevice(pDriverObject, 0, &deviceName, FILE_DEVICE_UNKNOWN, 0, FALSE, &pDeviceObject);

    // Faulty pointer dereference
    ULONG* pInvalidAddress = NULL;
    *pInvalidAddress = 0x1234; // This will trigger a page fault

    return STATUS_SUCCESS;
}
