# SPDX-License-Identifier: LGPL-2.1-or-later
#
# What Sys::Virt::UV::Loop and Sys::Virt::UV::EventImpl call: functions of libuv and of libvirt-uv.so, under their own
# names, and what both need to be called back.
#
# A callback must not leave by die: perl would jump over libuv's and libvirt's frames, which is memory that libuv
# writes to later, and the events that libvirt had in hand. So every callback is guarded.
package Sys::Virt::UV::C;

use strict;
use warnings;

use Carp ();
use FFI::Platypus 1.00;

my $ffi = FFI::Platypus->new(api => 1);
# libuv by the name that the library is linked with, so the linker gives both the same one.
$ffi->lib('libuv.so.1', $ENV{VIRT_UV_LIBRARY} // 'libvirt-uv.so.0');
$ffi->type('(opaque)->void' => 'handle_cb');
$ffi->type('(opaque, int)->void' => 'signal_cb');

$ffi->attach(@$_) for (
  [uv_strerror => ['int'] => 'string'],
  [uv_loop_size => [] => 'size_t'],
  [uv_loop_init => ['opaque'] => 'int'],
  [uv_loop_close => ['opaque'] => 'int'],
  [uv_run => ['opaque', 'int'] => 'int'],
  [uv_stop => ['opaque'] => 'void'],
  [uv_handle_size => ['int'] => 'size_t'],
  [uv_close => ['opaque', 'handle_cb'] => 'void'],
  [uv_timer_init => ['opaque', 'opaque'] => 'int'],
  [uv_timer_start => ['opaque', 'handle_cb', 'uint64', 'uint64'] => 'int'],
  [uv_update_time => ['opaque'] => 'void'],
  [uv_signal_init => ['opaque', 'opaque'] => 'int'],
  [uv_signal_start => ['opaque', 'signal_cb', 'int'] => 'int'],

  [virt_uv_attach => ['opaque', 'opaque'] => 'int'],
  [virt_uv_detach => ['handle_cb', 'opaque'] => 'int'],
  [virt_uv_drain => ['handle_cb', 'opaque'] => 'int'],
  [virt_uv_loop => [] => 'opaque'],
  [virt_uv_version_string => [] => 'string'],
  [virt_uv_add_handle => ['int', 'int', 'opaque', 'opaque', 'opaque'] => 'int'],
  [virt_uv_update_handle => ['int', 'int'] => 'void'],
  [virt_uv_remove_handle => ['int'] => 'int'],
  [virt_uv_add_timeout => ['int', 'opaque', 'opaque', 'opaque'] => 'int'],
  [virt_uv_update_timeout => ['int', 'int'] => 'void'],
  [virt_uv_remove_timeout => ['int'] => 'int'],
);

# Dies, with $! set, where libuv or the library reports an error.
sub check {
  my ($result, $call) = @_;
  return if $result >= 0;
  $! = -$result;
  local $Carp::CarpLevel = 1;
  Carp::croak("$call: " . uv_strerror($result));
}

# A sub that calls $code, and warns of what $code dies of.
sub guarded {
  my ($code) = @_;
  return sub {
    local $@;
    return if eval { $code->(@_); 1 };
    my $reason = $@;
    eval { warn "in a callback: $reason" };  # a __WARN__ handler may die too
    return;
  };
}

sub closure {
  my ($code) = @_;
  return $ffi->closure(guarded($code));
}

1;
