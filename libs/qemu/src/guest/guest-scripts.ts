// SPDX-License-Identifier: Apache-2.0
// The programs of the demonstration guest, all for busybox sh. What they print on the console is read by programs:
// SECONDSITE-INIT, SECONDSITE-READY, SECONDSITE-FAIL, ACK, ACKFILE, CHECK and CHECK-FILE lines.

/** Modules in the order they must be loaded; those built into a kernel are simply absent from its package. */
export const kernelModules = [
  'virtio_ring', 'virtio', 'virtio_pci_legacy_dev', 'virtio_pci_modern_dev', 'virtio_pci', 'virtio_blk', 'virtio_console',
] as const;

/** Payload of row `n` as an SQL expression: any byte of a row can be checked from its number. */
export const payloadSql = "printf('%0400d', n * 7919)";

/** /init of the initramfs: loads drivers, mounts /dev/vda and hands over to the system on it. */
export const initramfsInit = String.raw`#!/bin/busybox sh
export PATH=/bin
mount -t proc proc /proc
mount -t devtmpfs dev /dev
for module in ${kernelModules.join(' ')}; do
  [ -f "/modules/$module.ko" ] && insmod "/modules/$module.ko"
done
if grep -q secondsite.mode=probe /proc/cmdline; then
  echo "SECONDSITE-READY $(cut -d' ' -f1 /proc/uptime)"
  poweroff -f
fi
if ! mount -t ext4 /dev/vda /root; then
  echo "SECONDSITE-FAIL cannot mount the system disk"
  poweroff -f
fi
if [ ! -x /root/sbin/init ]; then
  echo "SECONDSITE-FAIL the system disk holds no system"
  poweroff -f
fi
mount --move /dev /root/dev
mount --move /proc /root/proc
exec switch_root /root /sbin/init
`;

/** /sbin/init of the system disk: starts the command channel and what secondsite.mode asks for. */
export const systemInit = String.raw`#!/bin/busybox sh
export PATH=/sbin:/bin:/usr/bin HOME=/root
echo "SECONDSITE-INIT $(cut -d' ' -f1 /proc/uptime)"
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /tmp
hostname -F /etc/hostname
option() { sed -n "s/.*secondsite\.$1=\([^ ]*\).*/\1/p" /proc/cmdline; }
export SECONDSITE_JOURNAL="$(option journal)" SECONDSITE_INTERVAL_MICROS="$(option interval)"
command-channel &
case "$(option mode)" in
  write) write-workload & ledger-workload & ;;
  check) check-data; sync; mount -o remount,ro /; poweroff -f ;;
esac
echo "SECONDSITE-READY $(cut -d' ' -f1 /proc/uptime)"
while :; do wait; sleep 1; done
`;

/** Rows 1, 2, 3 … each in its own transaction; the ACK line leaves the machine only after the commit returned. */
export const writeWorkload = String.raw`#!/bin/busybox sh
journal=$SECONDSITE_JOURNAL
[ -n "$journal" ] || journal=WAL
last=$(sqlite3 /data/app.db "PRAGMA journal_mode=$journal; CREATE TABLE IF NOT EXISTS entries(n INTEGER PRIMARY KEY, payload TEXT NOT NULL);
  SELECT coalesce(max(n), 0) FROM entries;" | tail -n 1)
if [ -z "$last" ]; then echo "SECONDSITE-FAIL the database cannot be opened"; exit 1; fi
statements() {
  echo "PRAGMA synchronous=FULL;"
  n=$last
  while :; do
    n=$((n + 1))
    echo "INSERT INTO entries SELECT n, ${payloadSql} FROM (SELECT $n AS n); SELECT 'ACK ' || max(n) FROM entries WHERE n = $n;"
    [ -z "$SECONDSITE_INTERVAL_MICROS" ] || usleep "$SECONDSITE_INTERVAL_MICROS"
  done
}
statements | sqlite3 -bail /data/app.db
echo "SECONDSITE-FAIL the database workload ended"
`;

/** Lines 1, 2, 3 … appended to a plain file, each on disk before it is acknowledged. */
export const ledgerWorkload = String.raw`#!/bin/busybox sh
touch /data/ledger.txt
n=$(wc -l < /data/ledger.txt)
while :; do
  n=$((n + 1))
  echo "line $n" >> /data/ledger.txt && sync /data/ledger.txt && echo "ACKFILE $n"
  usleep 200000
done
`;

/** Reports whether the application's data is whole: one CHECK line and one CHECK-FILE line. */
export const checkData = String.raw`#!/bin/busybox sh
database=/data/app.db
if [ ! -f "$database" ]; then
  echo "CHECK failed reason=no-database"
else
  integrity=$(sqlite3 "$database" "PRAGMA integrity_check;" 2>&1 | head -n 1)
  counts=$(sqlite3 -separator ' ' "$database" "SELECT 'rows=' || count(*), 'max=' || coalesce(max(n), 0),
    'wrong=' || coalesce(sum(payload <> ${payloadSql}), 0) FROM entries;" 2>&1 | head -n 1)
  if [ "$integrity" = ok ]; then echo "CHECK ok $counts"; else echo "CHECK failed reason=$integrity"; fi
fi
[ -f /data/ledger.txt ] && lines=$(wc -l < /data/ledger.txt) || lines=0
echo "CHECK-FILE lines=$lines last=$(tail -n 1 /data/ledger.txt 2>/dev/null)"
`;

/** Runs the host's commands: "id base64-script" in, "id exit-code base64-output" out, one at a time. */
export const commandChannel = String.raw`#!/bin/busybox sh
for try in 1 2 3 4 5 6 7 8 9 10; do
  port=$(ls /dev/vport*p1 2>/dev/null)
  [ -n "$port" ] && break
  usleep 100000
done
[ -n "$port" ] || exit 0
exec 3<>"$port"
while :; do
  while read -r id script <&3; do
    echo "$script" | base64 -d > /run/command
    sh /run/command > /run/command.out 2>&1 < /dev/null 3>&-
    code=$?
    echo "$id $code $(base64 -w 0 /run/command.out)" >&3
  done
  usleep 100000
done
`;

/** Where each program is on the system disk. */
export const systemPrograms: Readonly<Record<string, string>> = {
  'sbin/init': systemInit,
  'sbin/write-workload': writeWorkload,
  'sbin/ledger-workload': ledgerWorkload,
  'sbin/check-data': checkData,
  'sbin/command-channel': commandChannel,
};
