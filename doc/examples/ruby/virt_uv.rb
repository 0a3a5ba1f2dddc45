# SPDX-License-Identifier: LGPL-2.1-or-later
#
# libvirt's domain events in a libuv loop within Ruby, by ruby-ffi: what events.rb needs, and small enough to be copied.
#
# The loop must leave Ruby's other threads and its signals alive. So it does not sleep in uv_run, which would keep
# Ruby's lock: it sleeps in IO.select, on libuv's own fd, and calls uv_run for what is ready only. uv_run is not
# `blocking: true`, which would give the lock away: callbacks of C extensions, as those of ruby-libvirt, need it.
#
# ruby-libvirt has no place for an event loop, and none is needed: the library registers with libvirt itself. Its own
# registration of events is no use (0.7.1): nothing tells Ruby's garbage collector of the callback, and the objects that
# are given to it release references that nobody took. So events come by libvirt's C functions, on a connection of their
# own. ruby-libvirt does the rest.
require 'ffi'

module VirtUV
  module C
    extend FFI::Library
    # libuv by the name that the library is linked with: the linker gives both the same one.
    ffi_lib 'libuv.so.1', 'libvirt.so.0', ENV.fetch('VIRT_UV_LIBRARY', 'libvirt-uv.so.0')

    callback :done_cb, [:pointer], :void
    attach_function :uv_default_loop, [], :pointer
    attach_function :uv_run, %i[pointer int], :int
    attach_function :uv_backend_fd, [:pointer], :int
    attach_function :uv_backend_timeout, [:pointer], :int
    attach_function :virt_uv_attach, %i[pointer pointer], :int
    attach_function :virt_uv_detach, %i[done_cb pointer], :int
    attach_function :virt_uv_drain, %i[done_cb pointer], :int

    callback :lifecycle_cb, %i[pointer pointer int int pointer], :int
    # They wait for the host, and other threads of Ruby's may go on.
    attach_function :virConnectOpenReadOnly, [:string], :pointer, blocking: true
    attach_function :virConnectDomainEventRegisterAny, %i[pointer pointer int lifecycle_cb pointer done_cb], :int,
                    blocking: true
    attach_function :virConnectDomainEventDeregisterAny, %i[pointer int], :int, blocking: true
    attach_function :virConnectClose, [:pointer], :int, blocking: true
    attach_function :virDomainGetName, [:pointer], :string
    attach_function :virGetLastErrorMessage, [], :string
  end

  # What C may still call, by the number that is its opaque: Ruby frees what nobody holds.
  module Blocks
    @blocks = {}
    @last = 0

    def self.keep(block)
      @blocks[@last += 1] = block
      FFI::Pointer.new(@last)
    end

    def self.of(opaque) = @blocks[opaque.address]
    def self.release(opaque) = @blocks.delete(opaque.address)

    ON_DONE = FFI::Function.new(:void, [:pointer]) { |opaque| release(opaque)&.call }
    ON_FREE = FFI::Function.new(:void, [:pointer]) { |opaque| release(opaque) }
    ON_LIFECYCLE = FFI::Function.new(:int, %i[pointer pointer int int pointer]) do |_, domain, event, detail, opaque|
      of(opaque).call(C.virDomainGetName(domain), event, detail)
      0
    end
  end

  class << self
    # Before the first connection is opened.
    def attach
      check(C.virt_uv_attach(uv_loop, nil), 'virt_uv_attach')
    end

    # Gives the loop back; the block is called when that is done.
    def detach(&done)
      later(:virt_uv_detach, done)
    end

    # The block is called when libvirt has nothing registered any more: after the last close its socket is closed then.
    def drain(&idle)
      later(:virt_uv_drain, idle)
    end

    # Until nothing is left in the loop, or a callback calls stop. An exception in a callback (the last, if there
    # are several) comes out of here, when uv_run has done what is ready; run may be called again.
    def run
      @stopped = false
      backend = IO.for_fd(C.uv_backend_fd(uv_loop), autoclose: false)
      until C.uv_run(uv_loop, UV_RUN_NOWAIT).zero? || @stopped
        timeout = C.uv_backend_timeout(uv_loop)
        IO.select([backend], nil, nil, timeout.negative? ? nil : timeout / 1000.0)
      end
    end

    def stop = @stopped = true

    private

    UV_RUN_NOWAIT = 2

    def uv_loop = @uv_loop ||= C.uv_default_loop

    def later(function, block)
      opaque = Blocks.keep(block)
      result = C.public_send(function, Blocks::ON_DONE, opaque)
      Blocks.release(opaque) if result.negative?
      check(result, function.to_s)
    end

    def check(result, call)
      raise SystemCallError.new(call, -result) if result.negative?
    end
  end

  # The lifecycle events of a connection of its own.
  class LifecycleEvents
    LIFECYCLE = 0 # VIR_DOMAIN_EVENT_ID_LIFECYCLE

    # Calls the block with a domain's name, the event and its detail.
    def initialize(uri, &block)
      @conn = C.virConnectOpenReadOnly(uri)
      raise "#{uri}: #{C.virGetLastErrorMessage}" if @conn.null?

      opaque = Blocks.keep(block)
      @id = C.virConnectDomainEventRegisterAny(@conn, nil, LIFECYCLE, Blocks::ON_LIFECYCLE, opaque, Blocks::ON_FREE)
      return unless @id.negative?

      Blocks.release(opaque)
      raise "#{uri}: #{C.virGetLastErrorMessage}"
    end

    def close
      C.virConnectDomainEventDeregisterAny(@conn, @id)
      C.virConnectClose(@conn)
    end
  end
end
