# SPDX-License-Identifier: LGPL-2.1-or-later
"""libvirt's events in uvloop's event loop, with the bindings that libvirt has for Python.

    import asyncio, libvirt, uvloop, virt_uv

    async def main():
        async with virt_uv.attached():
            conn = await asyncio.to_thread(libvirt.open, "qemu:///system")
            conn.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, print, None)
            ...
            conn.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main())

libvirt's callbacks are called in the loop, on its thread. Calls that wait for a host belong into another thread. There
is one attachment for each process, and the functions here are for the loop's thread.

What the loop's end must not find is taken off it in time: loop.close() detaches first. The library itself is
libvirt-uv.so.0; VIRT_UV_LIBRARY in the environment names another file.
"""

import asyncio
import contextlib
import ctypes
import errno
import os

import uvloop
import uvloop.loop

__all__ = ["attach", "attached", "detach", "drain", "version"]

_library = ctypes.CDLL(os.environ.get("VIRT_UV_LIBRARY", "libvirt-uv.so.0"))
_Callback = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


class _Options(ctypes.Structure):
    _fields_ = [("size", ctypes.c_size_t), ("flags", ctypes.c_uint), ("log", ctypes.c_void_p),
                ("log_opaque", ctypes.c_void_p), ("slow_callback_ms", ctypes.c_uint)]


_library.virt_uv_attach.argtypes = [ctypes.c_void_p, ctypes.POINTER(_Options)]
_library.virt_uv_detach.argtypes = _library.virt_uv_drain.argtypes = [_Callback, ctypes.c_void_p]
_library.virt_uv_loop.restype = ctypes.c_void_p
_library.virt_uv_version_string.restype = ctypes.c_char_p

_pointer_in = ctypes.pythonapi.PyCapsule_GetPointer
_pointer_in.restype = ctypes.c_void_p
_pointer_in.argtypes = [ctypes.py_object, ctypes.c_char_p]

# By its future, what libvirt-uv.so has not called yet: ctypes frees a callback that nobody holds.
_waiting = {}


def version():
    """The library's: "major.minor.micro"."""
    return _library.virt_uv_version_string().decode()


def _check(result, call):
    if result < 0:
        code = -result
        raise OSError(code, f"{call}: {os.strerror(code)}{_ADVICE.get((call, code), '')}")


_ADVICE = {
    ("virt_uv_attach", errno.EBUSY): "; another loop is attached, or another event loop is registered with libvirt, as "
                                     "by libvirtaio or virEventRegisterDefaultImpl: that is for good",
    ("virt_uv_attach", errno.ENOTSUP): "; the log on stderr says why",
}


def _uv_loop_of(loop):
    if not isinstance(loop, uvloop.Loop):
        raise TypeError(f"virt_uv needs a loop of uvloop's, and this is {type(loop).__module__}.{type(loop).__name__}: "
                        "run it by uvloop.run() or asyncio.Runner(loop_factory=uvloop.new_event_loop)")
    return _pointer_in(uvloop.loop.libuv_get_loop_t_ptr(loop), None)


def attach(loop=None, *, slow_callback_ms=0):
    """Makes `loop` (None: the running one) the loop in which libvirt's events come.

    Call it before the first connection is opened. A callback of libvirt's that takes `slow_callback_ms` or longer (0:
    none) is a line in the log. Raises TypeError where the loop is none of uvloop's, and OSError with the errno of
    virt_uv_attach(3): EBUSY where libvirtaio has the place.
    """
    loop = loop or asyncio.get_running_loop()
    options = _Options(ctypes.sizeof(_Options), 0, None, None, slow_callback_ms)
    _check(_library.virt_uv_attach(_uv_loop_of(loop), options), "virt_uv_attach")
    if "close" not in vars(loop):
        loop.close = lambda: _close(loop)


def _is_attached(loop):
    attached_loop = _library.virt_uv_loop()
    return attached_loop is not None and attached_loop == _uv_loop_of(loop)


def _close(loop):
    """libuv does not close a loop with handles on it."""
    if not loop.is_closed() and not loop.is_running() and _is_attached(loop):
        loop.run_until_complete(detach())
    del loop.close
    loop.close()


def _later(call):
    """A future of the running loop that is done when the library calls back."""
    future = asyncio.get_running_loop().create_future()

    def done(_opaque):
        del _waiting[future]
        if not future.done():
            future.set_result(None)

    callback = _Callback(done)
    _check(getattr(_library, call)(callback, None), call)
    _waiting[future] = callback
    return future


async def detach():
    """Takes all that is libvirt's off the loop. It is silent then, until the next attach."""
    await _later("virt_uv_detach")


async def drain():
    """Waits until libvirt has nothing registered any more: after conn.close() its socket is closed then.

    A registered event, or an object such as a virDomain, keeps its connection open; after five seconds a line on stderr
    says what is left.
    """
    await _later("virt_uv_drain")


@contextlib.asynccontextmanager
async def attached(loop=None, *, slow_callback_ms=0):
    """Attaches; detaches at the end, also when the body raises. Close the connections inside."""
    attach(loop, slow_callback_ms=slow_callback_ms)
    try:
        yield
    finally:
        await detach()
