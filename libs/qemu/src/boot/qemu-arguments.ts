// SPDX-License-Identifier: Apache-2.0
import type { Accelerator } from '../accelerator/accelerator';
import type { GuestImage } from '../guest/build-guest';
import { fileNode, nbdNode, parseNbdUri } from './disk-node';

/** `write`: rows and lines for ever; `check`: examine the data and power off; `idle`: only commands; `probe`: no disk. */
export type GuestMode = 'write' | 'check' | 'idle' | 'probe';

export interface MachineOptions {
  readonly guest: GuestImage;
  readonly mode: GuestMode;
  /** Path of a raw image or block device, or an NBD URI; none in mode `probe`. */
  readonly disk?: string;
  readonly accelerator?: Accelerator;
  readonly memoryMebibytes?: number;
  /** SQLite's journal in mode `write`; WAL by default. */
  readonly journal?: 'WAL' | 'DELETE';
  /** Pause between rows in mode `write`; none by default. */
  readonly writeIntervalMicros?: number;
  /** A guest that reboots ends QEMU unless this is true. */
  readonly rebootContinues?: boolean;
  /** Name the NBD server's certificate must carry (nbds only); the host of the URI by default. */
  readonly tlsHostname?: string;
  /** Seconds a lost NBD connection may take to come back while the guest waits. Default 0: the guest sees an I/O error. */
  readonly reconnectDelaySeconds?: number;
  /**
   * Tap devices of this machine (Linux), a network card each, eth0 first; QEMU makes them, which needs root, and they are gone with it. Without
   * offloads, so that the guest sees the packets that a wire would carry.
   */
  readonly taps?: readonly string[];
}

export interface MachinePaths {
  readonly qmpSocket: string;
  readonly commandSocket: string;
  readonly consoleLog: string;
  /** qcow2 file that takes the guest's writes instead of the disk. */
  readonly overlay?: string;
  /** Folder in QEMU's tls-creds-x509 layout. */
  readonly tlsFolder?: string;
}

/** Node and device id of the guest's system disk, for QMP. */
export const diskNodeName = 'disk0';
export const diskDeviceId = 'vd0';

/** The command line of the guest machine: a kernel given directly, serial console, QMP, command channel, one virtio disk. */
export function qemuArguments(machine: MachineOptions, paths: MachinePaths): string[] {
  return [
    ...machineArguments(machine),
    ...kernelArguments(machine),
    '-chardev', `stdio,id=console,signal=off,logfile=${escapeCommas(paths.consoleLog)},logappend=on`, '-serial', 'chardev:console',
    '-qmp', `unix:${escapeCommas(paths.qmpSocket)},server=on,wait=off`,
    ...(machine.mode === 'probe' ? [] : commandArguments(paths.commandSocket)),
    ...(machine.disk === undefined ? [] : diskArguments({ machine, disk: machine.disk, paths })),
    ...(machine.taps ?? []).flatMap((tap, index) => [
      '-netdev', `tap,id=net${index},ifname=${tap},script=no,downscript=no,vnet_hdr=off`, '-device', `virtio-net-pci,netdev=net${index}`,
    ]),
  ];
}

function machineArguments(machine: MachineOptions): string[] {
  const accelerator = machine.accelerator ?? 'tcg';
  return [
    '-machine', `q35,accel=${accelerator}`, '-cpu', accelerator === 'tcg' ? 'max' : 'host', '-smp', '1',
    '-m', String(machine.memoryMebibytes ?? 256), '-nodefaults', '-no-user-config', '-display', 'none',
    ...(machine.rebootContinues ? [] : ['-no-reboot']),
  ];
}

function kernelArguments(machine: MachineOptions): string[] {
  const settings = [
    'console=ttyS0', 'quiet', 'panic=-1', `secondsite.mode=${machine.mode}`,
    ...(machine.journal === undefined ? [] : [`secondsite.journal=${machine.journal}`]),
    ...(machine.writeIntervalMicros === undefined ? [] : [`secondsite.interval=${machine.writeIntervalMicros}`]),
  ];
  return ['-kernel', machine.guest.kernel, '-initrd', machine.guest.initramfs, '-append', settings.join(' ')];
}

function commandArguments(commandSocket: string): string[] {
  return [
    '-device', 'virtio-serial-pci',
    '-chardev', `socket,id=commands,path=${escapeCommas(commandSocket)},server=on,wait=off`,
    '-device', 'virtserialport,chardev=commands,name=secondsite.commands',
  ];
}

function diskArguments(options: { machine: MachineOptions; disk: string; paths: MachinePaths }): string[] {
  const { machine, disk, paths } = options;
  const location = parseNbdUri(disk);
  const overlay = paths.overlay === undefined ? [] : overlayArguments(paths.overlay);
  const nodeName = paths.overlay === undefined ? diskNodeName : 'disk0-base';
  const withTls = location?.tls && paths.tlsFolder !== undefined;
  const node = location
    ? nbdNode({
        nodeName, location, reconnectDelaySeconds: machine.reconnectDelaySeconds ?? 0,
        ...(withTls ? { tlsCredsId: 'tls0' } : {}),
        ...(machine.tlsHostname === undefined ? {} : { tlsHostname: machine.tlsHostname }),
      })
    : fileNode({ nodeName, path: disk });
  const readOnly = paths.overlay === undefined ? {} : { 'read-only': true };
  return [
    ...(withTls ? ['-object', `tls-creds-x509,id=tls0,endpoint=client,verify-peer=on,dir=${escapeCommas(paths.tlsFolder)}`] : []),
    '-blockdev', JSON.stringify({ ...node, ...readOnly }),
    ...overlay,
    '-device', `virtio-blk-pci,drive=${diskNodeName},id=${diskDeviceId}`,
  ];
}

function overlayArguments(overlay: string): string[] {
  const file = { driver: 'file', filename: overlay };
  return ['-blockdev', JSON.stringify({ driver: 'qcow2', 'node-name': diskNodeName, file, backing: 'disk0-base' })];
}

/** QEMU doubles commas inside option values. */
function escapeCommas(value: string): string {
  return value.replaceAll(',', ',,');
}
