"""What the X keyboard configuration has on each key, by libxkbcommon: one JSON object, layout names to
four rows of characters for each of the two levels. A dead key, and a key without a character, is null."""
import ctypes
import json
import sys

xkb = ctypes.CDLL("libxkbcommon.so.0")


class Names(ctypes.Structure):
    _fields_ = [(name, ctypes.c_char_p) for name in ("rules", "model", "layout", "variant", "options")]


xkb.xkb_context_new.restype = ctypes.c_void_p
xkb.xkb_keymap_new_from_names.restype = ctypes.c_void_p
xkb.xkb_keymap_new_from_names.argtypes = [ctypes.c_void_p, ctypes.POINTER(Names), ctypes.c_int]
xkb.xkb_keymap_key_by_name.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
xkb.xkb_keymap_key_by_name.restype = ctypes.c_uint32
symbols = ctypes.POINTER(ctypes.c_uint32)
xkb.xkb_keymap_key_get_syms_by_level.argtypes = [
    ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32, ctypes.c_uint32, ctypes.POINTER(symbols)]
xkb.xkb_keysym_to_utf32.restype = ctypes.c_uint32
xkb.xkb_keysym_get_name.argtypes = [ctypes.c_uint32, ctypes.c_char_p, ctypes.c_size_t]

ROWS = [
    ["TLDE"] + ["AE%02d" % key for key in range(1, 13)],
    ["AD%02d" % key for key in range(1, 13)],
    ["AC%02d" % key for key in range(1, 12)] + ["BKSL"],
    ["LSGT"] + ["AB%02d" % key for key in range(1, 11)],
]


def character(keymap, name, level):
    found = symbols()
    code = xkb.xkb_keymap_key_by_name(keymap, name.encode())
    if xkb.xkb_keymap_key_get_syms_by_level(keymap, code, 0, level, ctypes.byref(found)) != 1:
        return None
    text = ctypes.create_string_buffer(64)
    xkb.xkb_keysym_get_name(found[0], text, 64)
    point = xkb.xkb_keysym_to_utf32(found[0])
    return None if text.value.startswith(b"dead_") or not point else chr(point)


layouts = {}
context = xkb.xkb_context_new(0)
for word in sys.argv[1:]:
    name, layout, variant = word.split(":")
    names = Names(b"evdev", b"pc105", layout.encode(), variant.encode(), b"")
    keymap = xkb.xkb_keymap_new_from_names(context, ctypes.byref(names), 0)
    if not keymap:
        sys.exit("no layout " + word)
    layouts[name] = [[[character(keymap, key, level) for key in row] for row in ROWS] for level in (0, 1)]
print(json.dumps(layouts))
