#!/usr/bin/ruby
# SPDX-License-Identifier: LGPL-2.1-or-later
#
# Prints the events of a connection's domains until it is interrupted, and ends in order.
#
#     events.rb URI
require 'libvirt'
require_relative 'virt_uv'

WORDS = %w[defined undefined started suspended resumed stopped shutdown pmsuspended crashed].freeze

uri = ARGV.fetch(0)
$stdout.sync = true
trap('PIPE', 'IGNORE')
VirtUV.attach

conn = Libvirt.open_read_only(uri)
conn.list_domains.each do |id|
  domain = conn.lookup_domain_by_id(id)
  puts "#{domain.name} runs"
  domain.free # it keeps the connection open
end
conn.close

events = VirtUV::LifecycleEvents.new(uri) { |name, event, _detail| puts "#{name}: #{WORDS[event]}" }
begin
  puts 'watching'
  VirtUV.run
rescue Interrupt
  events.close
  VirtUV.drain { VirtUV.detach } # the loop closes the socket; then nothing is left in it
  VirtUV.run
end
