// SPDX-License-Identifier: Apache-2.0
export { findNatsServer } from './nats/find-nats-server';
export { natsConfig, type NatsConfigOptions, natsUsersText, type NatsTlsFiles, type NatsUser } from './nats/nats-config';
export { findNats, natsPidFile, type NatsService, type NatsServiceOptions, reloadNats, startNats, stopNats } from './nats/nats-service';
export { type PostgresService, type PostgresServiceOptions, removePostgresData, startPostgres, stopPostgres } from './postgres/postgres-service';
export { freePort } from './process/free-port';
export { identifyProcess, isRunning, type ProcessIdentity, signalProcess } from './process/process-identity';
export {
  findService, type ReadyOptions, type ServiceCommand, type ServiceFiles, serviceLogFile, serviceLogTail, startService, stopService, waitForReadyFile,
  writeWhole,
} from './process/supervised-process';
export { waitUntil, type WaitOptions } from './process/wait-until';
export { cacheFolder, repositoryFolder } from './repository-folder';
