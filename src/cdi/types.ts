/** A device file that a container gets. */
export interface DeviceNode {
  /** Absolute path in the container. */
  readonly path: string;
  /** Absolute path on the machine. */
  readonly hostPath: string;
  /** As in mknod(1): block, character, unbuffered character. Absent: whatever is there. */
  readonly type?: 'b' | 'c' | 'u';
  /** Device numbers that the vendor expects. */
  readonly major?: number;
  readonly minor?: number;
}

/** A directory or file of the machine that a container gets. */
export interface HostMount {
  /** Absolute path on the machine. */
  readonly hostPath: string;
  /** Absolute path in the container. */
  readonly containerPath: string;
  readonly readonly: boolean;
}

/** What a device, or any device of a specification, changes in a container. */
export interface ContainerEdits {
  /** `NAME=value` each. */
  readonly env: readonly string[];
  readonly deviceNodes: readonly DeviceNode[];
  readonly mounts: readonly HostMount[];
  /** Ids in the container, without 0. */
  readonly additionalGids: readonly number[];
  /** Edits that a step cannot be given, described for people, e.g. `hook createContainer of "/usr/bin/nvidia-cdi-hook"`. */
  readonly unsupported: readonly string[];
}

/** One specification file. */
export interface DeviceSpec {
  /** Where it is. */
  readonly path: string;
  /** `vendor/class`. */
  readonly kind: string;
  readonly devices: readonly RegisteredDevice[];
}

/** A device with the specification that it comes from. */
export interface RegisteredDevice {
  /** `vendor/class=name`. */
  readonly name: string;
  readonly kind: string;
  /** The specification's, and over them the device's own. */
  readonly annotations: ReadonlyMap<string, string>;
  /** Its own, without those of the specification. */
  readonly edits: ContainerEdits;
  /** For all devices of its specification, which share this object. */
  readonly common: ContainerEdits;
}
