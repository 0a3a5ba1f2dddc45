#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""lib/perl with the real Sys::Virt."""

import unittest

from host import SOURCE, HostTestCase
from libvirtd import Libvirtd
from program import TERMINATE, Program, run

MODULES = SOURCE / "lib/perl"
BEGIN = """
    use strict;
    use warnings;
    use Sys::Virt;
    use Sys::Virt::Event;
    use Sys::Virt::UV::EventImpl;
    use Sys::Virt::UV::Loop;

    $| = 1;
    our $loop = Sys::Virt::UV::Loop->new;
    our $impl = Sys::Virt::UV::EventImpl->new;
    our ($conn, @heard);

    sub listen_to_domains {
      $conn = Sys::Virt->new(uri => 'test:///default');
      $conn->domain_event_register(sub { my (undef, undef, $event) = @_; push @heard, $event; $loop->stop });
      return $conn->get_domain_by_name('test');
    }
    sub run_until { my ($is_done) = @_; $loop->run until $is_done->() }
    sub end_in_order { undef $conn; $impl->drain(sub { $loop->remove($impl) }); $loop->run; print "ended\\n" }
"""
REPLACE_IGNORED = "Ignoring attempt to replace registered event loop"


class PerlTestCase(HostTestCase):
    interpreter = ("perl", "-e")
    environment = {"PERL5LIB": str(MODULES)}
    begin = BEGIN


class Host(PerlTestCase):
    def test_the_order_of_the_synopsis_works_and_events_come_in_order(self):
        self.check("""
            Sys::Virt::Event::register($impl);
            my $domain = listen_to_domains();
            $loop->add($impl);
            for (1 .. 50) { $domain->suspend; $domain->resume }
            run_until(sub { @heard == 100 });
            print "@heard" eq join(' ', (3, 4) x 50) ? "in order\\n" : "@heard\\n";
            $conn->domain_event_deregister;
            undef $domain;
            end_in_order();
        """, "in order", "ended")

    def test_without_a_registration_by_name_libvirt_calls_the_library_straight(self):
        self.check("""
            $loop->add($impl);
            no warnings 'redefine';
            *Sys::Virt::UV::EventImpl::update_timeout = sub { print "by way of Perl\\n" };
            my $domain = listen_to_domains();
            $domain->suspend;
            run_until(sub { @heard });
            print "@heard\\n";
            $conn->domain_event_deregister;
            undef $domain;
            end_in_order();
        """, "3", "ended")

    def test_the_implementation_is_one_object(self):
        self.check("print Sys::Virt::UV::EventImpl->new == $impl ? 'one' : 'two'", "one")

    def test_the_loop_s_own_timers_sockets_and_signals_go_on_meanwhile(self):
        self.check("""
            use Socket;
            $loop->add($impl);
            my $domain = listen_to_domains();
            my @ticks;
            sub tick {
              push @ticks, scalar @ticks;
              return $loop->stop if @ticks == 20;
              $loop->watch_time(after => 0.001, code => \\&tick);
            }
            $loop->watch_time(after => 0, code => \\&tick);
            my $never = $loop->watch_time(after => 0.001, code => sub { print "a timer that is not watched\\n" });
            $loop->unwatch_time($never);
            $loop->run;
            print "@ticks\\n";

            socketpair(my $near, my $far, AF_UNIX, SOCK_STREAM, 0) or die;
            my $watch = Sys::Virt::Event::add_handle(fileno $near, Sys::Virt::Event::HANDLE_READABLE, sub {
              sysread $near, my $text, 10;
              print "$text\\n";
              kill USR1 => $$;
            });
            my $signal = $loop->watch_signal(USR1 => sub { print "USR1\\n"; $loop->stop });
            syswrite $far, 'hello';
            $loop->run;
            $loop->unwatch_signal($signal);
            Sys::Virt::Event::remove_handle($watch);
            $conn->domain_event_deregister;
            undef $domain;
            end_in_order();
        """, " ".join(map(str, range(20))), "hello", "USR1", "ended")

    def test_a_program_may_end_while_it_is_attached(self):
        self.check("""
            $loop->add($impl);
            my $domain = listen_to_domains();
            $domain->suspend;
            run_until(sub { @heard });
            print "@heard\\n";
        """, "3")

    def test_a_program_may_end_in_a_callback(self):
        self.check("""
            $loop->add($impl);
            $conn = Sys::Virt->new(uri => 'test:///default');
            $conn->domain_event_register(sub { print "exit\\n"; exit 0 });
            $conn->get_domain_by_name('test')->suspend;
            $loop->run;
        """, "exit")

    def test_a_loop_that_goes_is_detached_and_another_may_come(self):
        self.check("""
            Sys::Virt::Event::register($impl);
            $loop->add($impl);
            my $domain = listen_to_domains();
            $loop->watch_time(after => 3600, code => sub { });
            $domain->suspend;
            run_until(sub { @heard == 1 });
            undef $loop;
            $domain->resume;
            $loop = Sys::Virt::UV::Loop->new;
            $loop->add($impl);
            run_until(sub { @heard == 2 });
            print "@heard\\n";
        """, "3 4")

    def test_only_the_first_of_two_loops_gets_the_implementation(self):
        status, printed, _ = self.run_program("""
            $loop->add($impl);
            my $other = Sys::Virt::UV::Loop->new;
            eval { $other->add($impl); 1 } or print 0 + $!, " $@";
            $loop->remove($impl);
            $loop->run;
            $other->add($impl);
            print "the other\\n";
        """)
        self.assertEqual((status, printed[0][:18], printed[1:]), (0, "16 virt_uv_attach:", ["the other"]))

    def test_what_needs_a_loop_dies_where_there_is_none(self):
        status, printed, _ = self.run_program("""
            for my $method (qw(detach drain)) {
              eval { $impl->$method(sub { }); 1 } or print 0 + $!, " $@";
            }
        """)
        self.assertEqual((status, [line.split(":")[0] for line in printed]), (0, ["107 virt_uv_detach",
                                                                                  "107 virt_uv_drain"]))

    def test_another_implementation_s_place_is_busy(self):
        status, printed, _ = self.run_program("""
            Sys::Virt::Event::register_default();
            eval { $loop->add($impl); 1 } or print $!{EBUSY} ? "EBUSY\\n" : "$!\\n";
        """)
        self.assertEqual((status, printed), (0, ["EBUSY"]))

    def test_the_version_is_the_library_s(self):
        self.check("print $impl->VERSION eq Sys::Virt::UV::C::virt_uv_version_string() ? 'one' : 'two'", "one")

    def test_the_pod_has_no_error(self):
        for module in ["EventImpl", "Loop"]:
            status, _, said = run("podchecker", "-warnings", "-warnings", MODULES / f"Sys/Virt/UV/{module}.pm")
            self.assertEqual((status, [line for line in said if "pod syntax OK" not in line]), (0, []))

    def test_the_example_prints_a_daemon_s_events_until_it_is_interrupted(self):
        self.check_example("perl", SOURCE / "doc/examples/perl/events.pl")


class Die(PerlTestCase):
    def check_dying(self, program, *dying):
        """Each of the named callbacks dies, is printed, and what comes after them goes on."""
        status, printed, said = self.run_program(program)
        self.assertEqual((status, printed[-1:]), (0, ["ended"]), said)
        self.assertEqual([line for line in said if line.startswith("in a callback: ")],
                         [f"in a callback: {name}" for name in dying])

    def test_in_an_event_of_each_kind(self):
        self.check_dying("""
            $loop->add($impl);
            $conn = Sys::Virt->new(uri => 'test:///default');
            my $heard = 0;
            sub dying { my ($name) = @_; return sub { ++$heard; $loop->stop; die "$name\\n" } }
            sub hear { my ($make) = @_; my $before = $heard; $make->(); run_until(sub { $heard > $before }) }
            my $domain = $conn->get_domain_by_name('test');
            my $network = $conn->get_network_by_name('default');
            my $pool = $conn->get_storage_pool_by_name('default-pool');
            my $lifecycle = $conn->domain_event_register_any(undef, 0, dying('domain'));
            my $of_network = $conn->network_event_register_any(undef, 0, dying('network'));
            my $of_pool = $conn->storage_pool_event_register_any(undef, 0, dying('pool'));
            for (1 .. 2) {
              hear(sub { $domain->suspend });
              hear(sub { $network->destroy });
              hear(sub { $pool->destroy });
              hear(sub { $domain->resume });
              hear(sub { $network->create });
              hear(sub { $pool->create });
            }
            $conn->domain_event_deregister_any($lifecycle);
            $conn->network_event_deregister_any($of_network);
            $conn->storage_pool_event_deregister_any($of_pool);
            $conn->domain_event_register(dying('old domain'));
            hear(sub { $domain->suspend });
            $conn->domain_event_deregister;
            undef $_ for $domain, $network, $pool;
            end_in_order();
        """, *["domain", "network", "pool"] * 4, "old domain")

    def test_in_an_event_of_a_stream(self):
        self.check_dying("""
            $loop->add($impl);
            $conn = Sys::Virt->new(uri => 'test:///default');
            my $domain = $conn->get_domain_by_name('test');
            my ($calls, $bytes) = (0, 0);
            my $stream = $conn->new_stream(Sys::Virt::Stream::NONBLOCK);
            $domain->screenshot($stream, 0);
            $stream->add_callback(Sys::Virt::Stream::EVENT_READABLE, sub {
              my ($stream, $events) = @_;
              die "stream\\n" if ++$calls == 1;
              my $got = $stream->recv(my $data, 65536);
              $loop->stop if $got == 0;
              $bytes += $got if $got > 0;
            });
            $loop->run;
            print $bytes == -s '/usr/share/libvirt/test-screenshot.png' ? "all\\n" : "$bytes\\n";
            $stream->remove_callback;
            $stream->finish;
            undef $_ for $stream, $domain;
            end_in_order();
        """, "stream")

    def test_in_watches_timeouts_timers_and_signals(self):
        self.check_dying("""
            $loop->add($impl);
            open my $null, '<', '/dev/null' or die;
            my ($watch, $timeout, $signal);
            $watch = Sys::Virt::Event::add_handle(fileno $null, Sys::Virt::Event::HANDLE_READABLE, sub {
              Sys::Virt::Event::remove_handle($watch);
              $timeout = Sys::Virt::Event::add_timeout(0, sub {
                Sys::Virt::Event::remove_timeout($timeout);
                $loop->watch_time(after => 0, code => sub { kill USR1 => $$; die "timer\\n" });
                die "timeout\\n";
              });
              die "watch\\n";
            });
            $signal = $loop->watch_signal(USR1 => sub { $loop->unwatch_signal($signal); die "signal\\n" });
            $loop->run;
            $impl->drain(sub { $impl->detach(sub { die "done\\n" }); die "idle\\n" });
            $loop->run;
            print "ended\\n";
        """, "watch", "timeout", "timer", "signal", "idle", "done")

    def test_also_where_warnings_die(self):
        status, printed, said = self.run_program("""
            $SIG{__WARN__} = sub { die 'fatal' };
            $loop->add($impl);
            $loop->watch_time(after => 0, code => sub { die });
            my $domain = listen_to_domains();
            $domain->suspend;
            run_until(sub { @heard });
            print "@heard\\n";
        """)
        self.assertEqual((status, printed, said), (0, ["3"], []))

    def test_in_a_close_callback(self):
        with Libvirtd() as libvirtd, Program(*self.command("""
            $SIG{PIPE} = 'IGNORE';
            Sys::Virt::Event::register($impl);
            $loop->add($impl);
            $conn = Sys::Virt->new(uri => $ENV{URI});
            $conn->register_close_callback(sub { my (undef, $reason) = @_; $loop->stop; die "closed: $reason\\n" });
            print "open\\n";
            $loop->run;
            $conn->unregister_close_callback;
            end_in_order();
        """), env={**self.environment, "URI": libvirtd.uri}) as program:
            program.expect("open")
            libvirtd.kill()
            program.expect("ended")
            self.assertEqual(program.end(), 0)
            self.assertIn("in a callback: closed: 1", program.stderr.seen)


class Page(PerlTestCase):
    """What doc/perl.md says of Sys::Virt itself, which is not ours."""

    begin = """
        use strict;
        use warnings;
        use Sys::Virt;
        use Sys::Virt::Event;
        { package Impl;
          our @ISA = (eval { require Sys::Virt::EventImpl; 1 }) ? 'Sys::Virt::EventImpl' : 'Sys::Virt::Event';
          sub add_handle { -1 } sub add_timeout { 1 } sub remove_timeout { -1 } sub remove_handle { -1 } }
        sub attempt { my ($code) = @_; print eval { $code->(); 1 } ? "accepted\\n" : "dies\\n" }
    """

    def check(self, program, *printed):
        status, lines, said = self.run_program(program)
        self.assertEqual((status, lines), (0, list(printed)))
        return "\n".join(said)

    def test_a_second_register_default_is_accepted(self):
        self.assertEqual(self.check("attempt(sub { Sys::Virt::Event::register_default() }) for 1 .. 2",
                                    "accepted", "accepted"), "")

    def test_a_second_register_is_accepted_with_a_warning_of_libvirt_s(self):
        said = self.check("attempt(sub { Sys::Virt::Event::register(bless {}, 'Impl') }) for 1 .. 2",
                          "accepted", "accepted")
        self.assertEqual(said.count(REPLACE_IGNORED), 1)

    def test_remove_timeout_of_an_unknown_id_dies_under_the_default_loop_only(self):
        remove = "attempt(sub { Sys::Virt::Event::remove_timeout(4711) })"
        self.check(f"Sys::Virt::Event::register_default(); {remove}", "dies")
        self.check(f"Sys::Virt::Event::register(bless {{}}, 'Impl'); {remove}", "accepted")

    def test_add_handle_of_a_closed_fd_is_accepted_by_the_default_loop(self):
        add = "attempt(sub { Sys::Virt::Event::add_handle(999, 1, sub { }) })"
        self.check(f"Sys::Virt::Event::register_default(); {add}", "accepted")
        self.check(f"use Sys::Virt::UV::EventImpl; Sys::Virt::Event::register(Sys::Virt::UV::EventImpl->new); {add}",
                   "dies")

    def test_run_default_under_another_loop_waits_for_ever(self):
        with Program(*self.command("""
            Sys::Virt::Event::register(bless {}, 'Impl');
            Sys::Virt::Event::add_timeout(0, sub { print "called\\n" });
            $| = 1;
            print "waits\\n";
            Sys::Virt::Event::run_default();
            print "returned\\n";
        """), env=self.environment) as program:
            program.expect("waits")
            self.assertEqual(program.end(TERMINATE), -TERMINATE)
            self.assertEqual(program.stdout.seen, ["waits"])

if __name__ == "__main__":
    unittest.main()
