# SPDX-License-Identifier: LGPL-2.1-or-later
package Sys::Virt::UV::EventImpl;

=head1 NAME

Sys::Virt::UV::EventImpl - libvirt's events in a libuv loop

=head1 SYNOPSIS

  use Sys::Virt;
  use Sys::Virt::Event;
  use Sys::Virt::UV::EventImpl;
  use Sys::Virt::UV::Loop;

  my $loop = Sys::Virt::UV::Loop->new;
  my $impl = Sys::Virt::UV::EventImpl->new;
  Sys::Virt::Event::register($impl);

  my $conn = Sys::Virt->new(uri => 'qemu:///system');
  $conn->domain_event_register(sub {
    my ($conn, $domain, $event, $detail) = @_;
    ...
  });

  $loop->add($impl);
  $loop->run;

=head1 DESCRIPTION

The counterpart of L<Sys::Virt::IO::Async::EventImpl> on libuv: the library is virt-uv, and is called by
L<FFI::Platypus>.

There is one event loop in a process, and it is registered before the first connection is opened. C<register> may be
left out where C<add> comes before the connections: libvirt then calls the library straight, and no Perl for each change
of a watch. What is registered while there is no loop waits for one.

Callbacks are called on the thread that runs the loop, which is Perl's.

=head2 A callback that dies

A C<die> in a callback would leave libvirt and libuv in the middle of their work. While this module is loaded, each code
reference that is given to C<Sys::Virt>, C<Sys::Virt::Event> or C<Sys::Virt::Stream> as a callback of events is called
within C<eval>: what it dies of is a warning, and the next events come.

=head2 The end

A program that just ends, also while a loop is attached, needs nothing. To end in order: deregister the callbacks, drop
the connection and every object of it (a C<Sys::Virt::Domain> keeps its connection open), C<drain>, and C<remove> in its
callback. C<< $loop->run >> then returns.

=head2 The library

It is F<libvirt-uv.so.0>; the variable C<VIRT_UV_LIBRARY> names another file. Its log lines go to stderr, as
C<VIRT_UV_LOG> says: none, error, warn (the default), info or debug.

Have C<$SIG{PIPE}> ignored, or a connection whose peer has gone ends the program.

=head1 METHODS

=over 4

=item my $impl = Sys::Virt::UV::EventImpl->new

Always the same object.

=item $impl->attach($address)

As C<< $loop->add($impl) >>, for another loop of the process's libuv: C<$address> is its C<uv_loop_t *> as a number.

=item $impl->detach($done)

As C<< $loop->remove($impl) >>. C<$done>, which may be left out, is called in the loop when nothing of the library is on
it any more.

=item $impl->drain($idle)

Calls C<$idle> in the loop when libvirt has nothing registered any more. After five seconds a line on stderr says what
is left.

=item add_handle, update_handle, remove_handle, add_timeout, update_timeout, remove_timeout

What libvirt calls by way of L<Sys::Virt::Event>.

=back

C<attach>, C<detach> and C<drain> die when they fail; C<$!> has the error of the function of virt-uv.h(3).

=cut

use strict;
use warnings;

use Scalar::Util qw(set_prototype);
use Sys::Virt;
use Sys::Virt::Event;
use Sys::Virt::Stream;
use Sys::Virt::UV::C;

our $VERSION = '0.2.0';

# Up to 9.4, implementations derived from Sys::Virt::Event.
our @ISA = (eval { require Sys::Virt::EventImpl; 1 }) ? 'Sys::Virt::EventImpl' : 'Sys::Virt::Event';

# Which argument is the callback.
my %callback_of = (
  'Sys::Virt::domain_event_register' => 1,
  'Sys::Virt::domain_event_register_any' => 3,
  'Sys::Virt::network_event_register_any' => 3,
  'Sys::Virt::storage_pool_event_register_any' => 3,
  'Sys::Virt::node_device_event_register_any' => 3,
  'Sys::Virt::secret_event_register_any' => 3,
  'Sys::Virt::register_close_callback' => 1,
  'Sys::Virt::Event::add_handle' => 2,
  'Sys::Virt::Event::add_timeout' => 1,
  'Sys::Virt::Stream::add_callback' => 2,
);

for my $name (keys %callback_of) {
  no strict 'refs';
  no warnings 'redefine';
  my ($original, $place) = (\&$name, $callback_of{$name});
  *$name = set_prototype(
    sub {
      my @args = @_;
      $args[$place] = Sys::Virt::UV::C::guarded($args[$place]) if ref $args[$place] eq 'CODE';
      return $original->(@args);
    },
    prototype $original);
}

my $the_one;

sub new {
  my ($class) = @_;
  return $the_one //= bless {}, $class;
}

sub attach {
  my ($self, $address) = @_;
  Sys::Virt::UV::C::check(Sys::Virt::UV::C::virt_uv_attach($address, undef), 'virt_uv_attach');
  return;
}

# What the library has not called back yet, by its number.
my ($last_number, %waiting) = (0);
my $on_done = Sys::Virt::UV::C::closure(sub { (delete $waiting{$_[0]})->() });

sub _later {
  my ($function, $name, $code) = @_;
  my $number = ++$last_number;
  Sys::Virt::UV::C::check($function->($on_done, $number), $name);
  $waiting{$number} = $code;
  return;
}

sub detach {
  my ($self, $done) = @_;
  return _later(\&Sys::Virt::UV::C::virt_uv_detach, 'virt_uv_detach', $done // sub { });
}

sub drain {
  my ($self, $idle) = @_;
  return _later(\&Sys::Virt::UV::C::virt_uv_drain, 'virt_uv_drain', $idle);
}

# libvirt's callbacks and their data come as references to their addresses: undef is NULL.
sub _addresses { return map { defined $_ ? $$_ : undef } @_ }

sub add_handle {
  my ($self, $fd, $events, @callback) = @_;
  return Sys::Virt::UV::C::virt_uv_add_handle($fd, $events, _addresses(@callback));
}

sub add_timeout {
  my ($self, $frequency, @callback) = @_;
  return Sys::Virt::UV::C::virt_uv_add_timeout($frequency, _addresses(@callback));
}

for my $name (qw(update_handle remove_handle update_timeout remove_timeout)) {
  no strict 'refs';
  my $function = \&{"Sys::Virt::UV::C::virt_uv_$name"};
  *$name = sub {
    my ($self, @args) = @_;
    return $function->(@args);
  };
}

1;
