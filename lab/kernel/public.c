// Types of Windows that this kernel has no use for. volatility3 asks whether the kernel's PDB knows them before it reads anything,
// so they are here, with their names and sizes.
#include "ke.h"

#define PUBLIC_TYPES(X)                                                                                                                     \
    X(_ERESOURCE, 0x68)                                                                                                                     \
    X(_EX_FAST_REF, 0x8)                                                                                                                    \
    X(_TOKEN, 0x498)                                                                                                                        \
    X(_OBJECT_HEADER, 0x38)                                                                                                                 \
    X(_FILE_OBJECT, 0xd8)                                                                                                                   \
    X(_CM_KEY_BODY, 0x68)                                                                                                                   \
    X(_CMHIVE, 0x12e8)                                                                                                                      \
    X(_CM_KEY_NODE, 0x50)                                                                                                                   \
    X(_CM_KEY_VALUE, 0x18)                                                                                                                  \
    X(_HMAP_ENTRY, 0x18)                                                                                                                    \
    X(_MMVAD_SHORT, 0x40)                                                                                                                   \
    X(_MMVAD, 0x88)                                                                                                                         \
    X(_KSYSTEM_TIME, 0xc)                                                                                                                   \
    X(_KMUTANT, 0x38)                                                                                                                       \
    X(_OBJECT_SYMBOLIC_LINK, 0x28)                                                                                                          \
    X(_CONTROL_AREA, 0x80)                                                                                                                  \
    X(_SHARED_CACHE_MAP, 0x228)                                                                                                             \
    X(_VACB, 0x28)                                                                                                                          \
    X(_POOL_TRACKER_BIG_PAGES, 0x18)                                                                                                        \
    X(_IMAGE_DOS_HEADER, 0x40)                                                                                                              \
    X(_LDR_DATA_TABLE_ENTRY, 0x120)

#define DECLARE(Type, Size)                                                                                                                 \
    struct Type {                                                                                                                           \
        UCHAR Unused[Size];                                                                                                                 \
    };
PUBLIC_TYPES(DECLARE)

// A member of each type makes the compiler describe it.
#define MEMBER(Type, Size) struct Type Member##Type;
union _LAB_PUBLIC_TYPES {
    PUBLIC_TYPES(MEMBER)
};
NTKERNELAPI union _LAB_PUBLIC_TYPES *LabPublicTypes;
