# SPDX-License-Identifier: LGPL-2.1-or-later
package Sys::Virt::UV::Loop;

=head1 NAME

Sys::Virt::UV::Loop - a libuv loop, with the methods of IO::Async::Loop that a program with libvirt needs

=head1 SYNOPSIS

  my $loop = Sys::Virt::UV::Loop->new;
  $loop->watch_signal(INT => sub { $loop->stop });
  $loop->watch_time(after => 1.5, code => sub { ... });
  $loop->add(Sys::Virt::UV::EventImpl->new);
  $loop->run;

=head1 DESCRIPTION

The methods have the names and arguments that they have in L<IO::Async::Loop>. Files and sockets are watched with
C<Sys::Virt::Event::add_handle>.

A callback that dies is a warning, and the loop goes on.

Perl runs its own signal handlers (C<%SIG>) between two statements, and a loop that sleeps runs none: use
C<watch_signal>.

=head1 METHODS

=over 4

=item my $loop = Sys::Virt::UV::Loop->new

A loop of its own. When the last reference to it goes, what is still watched ends, and a C<Sys::Virt::UV::EventImpl>
that is in it is removed first.

=item $loop->add($impl)

Makes it the loop in which libvirt's events come: see L<Sys::Virt::UV::EventImpl>. It dies when it cannot; C<$!> says
why: C<EBUSY> means that another loop has C<$impl>, or that another implementation is registered with libvirt.

=item $loop->remove($impl)

Gives the loop back. What libvirt has registered waits for the next C<add>.

=item $loop->run

Runs until C<stop>, or until nothing is watched.

=item $loop->stop

Ends C<run> after this iteration.

=item my $id = $loop->watch_time(after => $seconds, code => $code)

Calls C<$code> once.

=item $loop->unwatch_time($id)

It is not called any more.

=item my $id = $loop->watch_signal($name => $code)

Calls C<$code> for each signal of this name: C<INT>, C<TERM>, ...

=item $loop->unwatch_signal($id)

It is not called any more.

=item $loop->address

The C<uv_loop_t *>, as a number, for other code that uses libuv.

=back

=cut

use strict;
use warnings;

use Config ();
use FFI::Platypus::Memory qw(free malloc);
use Sys::Virt::UV::C;

use constant {UV_RUN_DEFAULT => 0, UV_TIMER => 13, UV_SIGNAL => 16};

# The watched handles of all loops, by their addresses: that is what libuv calls with. There is one closure for each
# type of handle, as a closure must not be freed while it runs.
my %watched;
my $on_timer = Sys::Virt::UV::C::closure(sub {
  my $timer = $watched{$_[0]};
  _unwatch($timer);
  $timer->{code}->();
});
my $on_signal = Sys::Virt::UV::C::closure(sub { $watched{$_[0]}{code}->() });
my $on_closed = Sys::Virt::UV::C::closure(sub { free($_[0]) });

my %signal_number;
@signal_number{split ' ', $Config::Config{sig_name}} = split ' ', $Config::Config{sig_num};

sub new {
  my ($class) = @_;
  my $address = malloc(Sys::Virt::UV::C::uv_loop_size());
  my $result = Sys::Virt::UV::C::uv_loop_init($address);
  free($address) if $result < 0;
  Sys::Virt::UV::C::check($result, 'uv_loop_init');
  return bless {address => $address}, $class;
}

sub address { return $_[0]{address} }

sub add {
  my ($self, $impl) = @_;
  $impl->attach($self->{address});
  return;
}

sub remove {
  my ($self, $impl) = @_;
  $impl->detach;
  return;
}

sub run {
  my ($self) = @_;
  Sys::Virt::UV::C::uv_run($self->{address}, UV_RUN_DEFAULT);
  return;
}

sub stop {
  my ($self) = @_;
  Sys::Virt::UV::C::uv_stop($self->{address});
  return;
}

sub watch_time {
  my ($self, %args) = @_;
  my $timer = $self->_watch(UV_TIMER, \&Sys::Virt::UV::C::uv_timer_init, $args{code});
  # uv_timer_start counts from the time that the loop knows, which is that of its last iteration.
  Sys::Virt::UV::C::uv_update_time($self->{address});
  Sys::Virt::UV::C::uv_timer_start($timer->{address}, $on_timer, int(1000 * $args{after} + 0.5), 0);
  return $timer;
}

sub unwatch_time { return _unwatch($_[1]) }

sub watch_signal {
  my ($self, $name, $code) = @_;
  my $signal = $self->_watch(UV_SIGNAL, \&Sys::Virt::UV::C::uv_signal_init, $code);
  my $result = Sys::Virt::UV::C::uv_signal_start($signal->{address}, $on_signal, $signal_number{$name} // 0);
  _unwatch($signal) if $result < 0;
  Sys::Virt::UV::C::check($result, "watch_signal($name)");
  return $signal;
}

sub unwatch_signal { return _unwatch($_[1]) }

sub _watch {
  my ($self, $type, $init, $code) = @_;
  my $address = malloc(Sys::Virt::UV::C::uv_handle_size($type));
  my $result = $init->($self->{address}, $address);
  free($address) if $result < 0;
  Sys::Virt::UV::C::check($result, 'a handle');
  return $watched{$address} = {address => $address, loop => $self->{address}, code => $code};
}

# One that is not watched any more is ignored. Its address may be another's by now.
sub _unwatch {
  my ($handle) = @_;
  my $address = $handle->{address};
  return unless ($watched{$address} // 0) == $handle;
  delete $watched{$address};
  Sys::Virt::UV::C::uv_close($address, $on_closed);
  return;
}

# libuv does not close a loop with handles on it. At the end of perl itself, what is called here may be gone.
sub DESTROY {
  my ($self) = @_;
  return if ${^GLOBAL_PHASE} eq 'DESTRUCT';
  local ($@, $!);
  my $address = $self->{address};
  Sys::Virt::UV::C::virt_uv_detach(undef, undef) if (Sys::Virt::UV::C::virt_uv_loop() // 0) == $address;
  _unwatch($_) for grep { $_->{loop} == $address } values %watched;
  $self->run;
  Sys::Virt::UV::C::check(Sys::Virt::UV::C::uv_loop_close($address), 'uv_loop_close');
  free($address);
}

1;
