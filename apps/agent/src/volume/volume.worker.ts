// SPDX-License-Identifier: Apache-2.0
import { serveThread } from '@secondsite/thread-host';
import { ProtectedVolume } from './protected-volume';
import type { VolumeThread, VolumeThreadData } from './volume-thread';

const DRAIN_MILLIS_MAX = 8000;

serveThread<VolumeThread, VolumeThreadData>(async (side, { settings, environment }) => {
  const volume = await ProtectedVolume.open(settings, environment, {
    fact: (fact) => side.emit('fact', fact),
    passed: (passed) => side.emit('passed', passed),
    tapLost: (reason) => side.emit('tapLost', reason),
  });
  return {
    requests: {
      configure: (changed) => volume.configure(changed),
      hold: (request) => volume.hold(request),
      cut: (request) => volume.cut(request),
      cutAlone: (bookmark) => volume.cutAlone(bookmark),
      release: (holdId) => volume.release(holdId),
      hops: (key) => volume.hops(key),
      useCredentials: (credentials) => volume.useCredentials(credentials),
      status: () => volume.status,
      mirrorTarget: () => volume.mirror.target(),
      noteMissed: (missed) => volume.mirror.noteMissed(missed),
      resumeMirror: ({ sourceUri }) => volume.mirror.resume(sourceUri),
      loseMirror: () => volume.mirror.lose('the mirror ended'),
      proveMirror: (until) => volume.mirror.prove(until),
      mirrorPulse: () => volume.mirror.pulse,
    },
    close: () => volume.close({ drainMillisMax: DRAIN_MILLIS_MAX }),
  };
});
