// SPDX-License-Identifier: LGPL-2.1-or-later
//
// The records of watch(): the lines of `virt-uv-events --json`. A test compares them with the JSON schema of those
// (doc/virt-uv-events.schema.json in the source tree). Words are those that virsh prints; members have the names that
// libvirt's headers give to the parameters. Later versions may add members and records.

/** Beyond 2^53 a string of its digits. */
export type Integer = number | string;

/** null where libvirt gives none. */
type Text = string | null;

interface Base {
  /** RFC 3339, UTC, with milliseconds. */
  time: string;
  /** The bytes, in hexadecimal, of each string that is not UTF-8, by its JSON pointer. */
  bytes?: Record<string, string>;
}

interface OfConnection extends Base {
  uri: string;
}

interface OfDomain extends OfConnection {
  /** Its name. */
  domain: Text;
  uuid: string;
}

/** A connection was opened, lost (then there is a reason), or opened again after a loss. */
export interface ConnectionRecord extends OfConnection {
  event: 'connection';
  state: 'opened' | 'lost' | 'reopened';
  reason?: string;
}

/** With the option `state`: a domain's present state. */
export interface StateRecord extends OfDomain {
  event: 'state';
  id: number | null;
  state: string;
  reason: string;
}

/** The queue was full: so many records are missing here. */
export interface DroppedRecord extends Base {
  event: 'dropped';
  count: number;
  since: string;
}

export interface GraphicsAddress {
  family: 'IPv4' | 'IPv6' | 'unix' | 'unknown';
  node: Text;
  service: Text;
}

export type ParameterValue = Integer | boolean | null;

export interface LifecycleEvent extends OfDomain {
  event: 'lifecycle';
  type: string;
  detail: string;
}

/** Something happened to a domain, and no more is known. */
export interface DomainOnlyEvent extends OfDomain {
  event: 'reboot' | 'control-error' | 'pm-wakeup' | 'pm-suspend' | 'pm-suspend-disk';
}

export interface RtcChangeEvent extends OfDomain {
  event: 'rtc-change';
  utcoffset: Integer;
}

export interface WatchdogEvent extends OfDomain {
  event: 'watchdog';
  action: string;
}

export interface IoErrorEvent extends OfDomain {
  event: 'io-error';
  srcPath: Text;
  devAlias: Text;
  action: string;
}

export interface IoErrorReasonEvent extends OfDomain {
  event: 'io-error-reason';
  srcPath: Text;
  devAlias: Text;
  action: string;
  reason: Text;
}

export interface GraphicsEvent extends OfDomain {
  event: 'graphics';
  phase: string;
  local: GraphicsAddress;
  remote: GraphicsAddress;
  authScheme: Text;
  subject: Array<{ type: Text; name: Text }>;
}

export interface BlockJobEvent extends OfDomain {
  event: 'block-job' | 'block-job-2';
  disk: Text;
  type: string;
  status: string;
}

export interface DiskChangeEvent extends OfDomain {
  event: 'disk-change';
  oldSrcPath: Text;
  newSrcPath: Text;
  devAlias: Text;
  reason: string;
}

export interface TrayChangeEvent extends OfDomain {
  event: 'tray-change';
  devAlias: Text;
  reason: string;
}

/** `actual` is in KiB. */
export interface BalloonChangeEvent extends OfDomain {
  event: 'balloon-change';
  actual: Integer;
}

export interface DeviceEvent extends OfDomain {
  event: 'device-added' | 'device-removed' | 'device-removal-failed';
  devAlias: Text;
}

export interface ParametersEvent extends OfDomain {
  event: 'tunable' | 'job-completed';
  params: Record<string, ParameterValue | ParameterValue[]>;
}

export interface AgentLifecycleEvent extends OfDomain {
  event: 'agent-lifecycle';
  state: string;
  reason: string;
}

export interface MigrationIterationEvent extends OfDomain {
  event: 'migration-iteration';
  iteration: number;
}

export interface MetadataChangeEvent extends OfDomain {
  event: 'metadata-change';
  type: string;
  nsuri: Text;
}

export interface BlockThresholdEvent extends OfDomain {
  event: 'block-threshold';
  dev: Text;
  path: Text;
  threshold: Integer;
  excess: Integer;
}

export interface MemoryFailureEvent extends OfDomain {
  event: 'memory-failure';
  recipient: string;
  action: string;
  flags: { 'action required': boolean; recursive: boolean };
}

export interface MemoryDeviceSizeChangeEvent extends OfDomain {
  event: 'memory-device-size-change';
  alias: Text;
  size: Integer;
}

/** libvirt 11.2 and later. */
export interface NicMacChangeEvent extends OfDomain {
  event: 'nic-mac-change';
  alias: Text;
  oldMAC: Text;
  newMAC: Text;
}

/** libvirt 12.4 and later. */
export interface VcpuRemovedEvent extends OfDomain {
  event: 'vcpu-removed';
  vcpuid: number;
}

/** libvirt 12.4 and later. */
export interface ChannelLifecycleEvent extends OfDomain {
  event: 'channel-lifecycle';
  channelName: Text;
  state: string;
  reason: string;
}

export interface NetworkLifecycleEvent extends OfConnection {
  event: 'network-lifecycle';
  network: Text;
  uuid: string;
  type: string;
}

/** libvirt 9.8 and later. */
export interface NetworkMetadataChangeEvent extends OfConnection {
  event: 'network-metadata-change';
  network: Text;
  uuid: string;
  type: string;
  nsuri: Text;
}

export interface PoolLifecycleEvent extends OfConnection {
  event: 'pool-lifecycle';
  pool: Text;
  uuid: string;
  type: string;
}

export interface PoolRefreshEvent extends OfConnection {
  event: 'pool-refresh';
  pool: Text;
  uuid: string;
}

export interface NodedevLifecycleEvent extends OfConnection {
  event: 'nodedev-lifecycle';
  device: Text;
  type: string;
}

export interface NodedevUpdateEvent extends OfConnection {
  event: 'nodedev-update';
  device: Text;
}

export interface SecretLifecycleEvent extends OfConnection {
  event: 'secret-lifecycle';
  uuid: string;
  type: string;
}

export interface SecretValueChangedEvent extends OfConnection {
  event: 'secret-value-changed';
  uuid: string;
}

/** An event of libvirt's. `event` says which. */
export type LibvirtEvent =
  | LifecycleEvent
  | DomainOnlyEvent
  | RtcChangeEvent
  | WatchdogEvent
  | IoErrorEvent
  | IoErrorReasonEvent
  | GraphicsEvent
  | BlockJobEvent
  | DiskChangeEvent
  | TrayChangeEvent
  | BalloonChangeEvent
  | DeviceEvent
  | ParametersEvent
  | AgentLifecycleEvent
  | MigrationIterationEvent
  | MetadataChangeEvent
  | BlockThresholdEvent
  | MemoryFailureEvent
  | MemoryDeviceSizeChangeEvent
  | NicMacChangeEvent
  | VcpuRemovedEvent
  | ChannelLifecycleEvent
  | NetworkLifecycleEvent
  | NetworkMetadataChangeEvent
  | PoolLifecycleEvent
  | PoolRefreshEvent
  | NodedevLifecycleEvent
  | NodedevUpdateEvent
  | SecretLifecycleEvent
  | SecretValueChangedEvent;

/** What the listeners of `event` are called with. */
export type WatchEvent = LibvirtEvent | StateRecord | DroppedRecord;

/** What the iterator gives. */
export type WatchRecord = WatchEvent | ConnectionRecord;
