// Basic types, under the names that Windows drivers know them by.
#pragma once

typedef void VOID, *PVOID;
typedef char CHAR, CCHAR;
typedef unsigned char UCHAR, BOOLEAN, KIRQL, *PUCHAR;
typedef short SHORT, CSHORT;
typedef unsigned short USHORT, WCHAR, *PWSTR;
typedef int LONG, NTSTATUS;
typedef unsigned int ULONG, *PULONG;
typedef long long LONGLONG;
typedef unsigned long long ULONGLONG, ULONG64, ULONG_PTR, SIZE_T;

#define NULL ((void *)0)
#define TRUE 1
#define FALSE 0
#define DECLSPEC_NOINLINE __declspec(noinline)
#define UNREFERENCED_PARAMETER(P) ((void)(P))
#define FIELD_OFFSET(Type, Field) __builtin_offsetof(Type, Field)
#define CONTAINING_RECORD(Address, Type, Field) ((Type *)((UCHAR *)(Address) - FIELD_OFFSET(Type, Field)))

#define STATUS_SUCCESS ((NTSTATUS)0x00000000)
#define STATUS_PENDING ((NTSTATUS)0x00000103)
#define STATUS_BREAKPOINT ((NTSTATUS)0x80000003)
#define STATUS_ACCESS_VIOLATION ((NTSTATUS)0xC0000005)
#define STATUS_INVALID_HANDLE ((NTSTATUS)0xC0000008)
#define STATUS_INVALID_DEVICE_REQUEST ((NTSTATUS)0xC0000010)
#define STATUS_ILLEGAL_INSTRUCTION ((NTSTATUS)0xC000001D)
#define STATUS_INTEGER_DIVIDE_BY_ZERO ((NTSTATUS)0xC0000094)
#define STATUS_INSUFFICIENT_RESOURCES ((NTSTATUS)0xC000009A)
#define STATUS_NOT_SUPPORTED ((NTSTATUS)0xC00000BB)
#define NT_SUCCESS(Status) ((Status) >= 0)

typedef struct _LIST_ENTRY {
    struct _LIST_ENTRY *Flink, *Blink;
} LIST_ENTRY, *PLIST_ENTRY;

typedef struct _SINGLE_LIST_ENTRY {
    struct _SINGLE_LIST_ENTRY *Next;
} SINGLE_LIST_ENTRY;

typedef struct _UNICODE_STRING {
    USHORT Length, MaximumLength;
    PWSTR Buffer;
} UNICODE_STRING, *PUNICODE_STRING;

typedef union _LARGE_INTEGER {
    struct {
        ULONG LowPart;
        LONG HighPart;
    };
    LONGLONG QuadPart;
} LARGE_INTEGER;
