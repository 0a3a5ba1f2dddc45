#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Prints the events of a connection's domains until it is interrupted, and ends in order.
#
#     events.pl URI
use strict;
use warnings;

use Sys::Virt;
use Sys::Virt::Event;
use Sys::Virt::UV::EventImpl;
use Sys::Virt::UV::Loop;

my @words = qw(defined undefined started suspended resumed stopped shutdown pmsuspended crashed);

$| = 1;
$SIG{PIPE} = 'IGNORE';
my $loop = Sys::Virt::UV::Loop->new;
my $impl = Sys::Virt::UV::EventImpl->new;
Sys::Virt::Event::register($impl);

my $conn = Sys::Virt->new(uri => $ARGV[0], readonly => 1);
my $number = $conn->domain_event_register_any(
  undef,
  Sys::Virt::Domain::EVENT_ID_LIFECYCLE,
  sub {
    my ($conn, $domain, $event, $detail) = @_;
    printf "%s: %s\n", $domain->get_name, $words[$event];
  });

my $interrupt;
$interrupt = $loop->watch_signal(
  INT => sub {
    $loop->unwatch_signal($interrupt);
    $conn->domain_event_deregister_any($number);
    undef $conn;
    # The loop closes the connection's socket; then nothing is left in it, and run() returns.
    $impl->drain(sub { $loop->remove($impl) });
  });

$loop->add($impl);
print "watching\n";
$loop->run;
