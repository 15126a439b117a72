// SPDX-License-Identifier: Apache-2.0
import type { ClusterMember, ComponentSurroundings, RunningComponent } from '@secondsite/component';
import { startComponentService } from '@secondsite/service-kit';
import type { ProcessServerConfig } from './config';
import { DataPlane } from './data-plane/data-plane';
import { ProcessServerModule } from './process-server.module';

/** Starts everything of a process server: identity, bus, data plane, control; then writes ready.json. */
export function startComponent(config: ProcessServerConfig, surroundings: ComponentSurroundings): Promise<RunningComponent & { readonly url: string }> {
  const { onFatal } = surroundings;
  const open = (member: ClusterMember): Promise<DataPlane> => DataPlane.open({ config, member, onFatal });
  return startComponentService({ role: 'process-server', config, surroundings, module: ProcessServerModule, dataPlane: { type: DataPlane, open } });
}
