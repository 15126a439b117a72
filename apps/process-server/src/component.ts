// SPDX-License-Identifier: Apache-2.0
import { ClusterMember, type ComponentSurroundings, type RunningComponent } from '@secondsite/component';
import type { ProcessServerConfig } from './config';
import { ControlLink } from './control/control-link';
import { DataPlane } from './data-plane/data-plane';

/** Starts everything of a process server: identity, bus, data plane, control; then writes ready.json. */
export async function startComponent(config: ProcessServerConfig, { log, metricsUrl, onFatal }: ComponentSurroundings): Promise<RunningComponent & { readonly url: string }> {
  const member = await ClusterMember.join({ role: 'process-server', config, log });
  const dataPlane = await DataPlane.open({ config, member, onFatal });
  const { url } = dataPlane;
  const link = new ControlLink({ member, server: dataPlane.server, url });
  await member.announce({ url, metricsUrl });
  return {
    url,
    notReadyReason: () => dataPlane.server.notReadyReason(),
    close: () => member.leave(async () => {
      link.close();
      await dataPlane.close();
    }),
  };
}
