// SPDX-License-Identifier: Apache-2.0
import { getOpenApi, rebuildReadModels } from './admin';
import { listComponents } from './components';
import { enrol, issueEnrolmentToken, listEnrolmentTokens, renewCertificate } from './enrolment';
import { addHost, listHosts } from './hosts';
import { addPlanVolumes, changePlan, createPlan, getPlanHistory, getPlanStatus, listPlans, pausePlan, removePlan, resumePlan } from './plans';
import { createBookmark, listPoints } from './points';
import { getStatus, listEvents } from './status';
import { traceVolume } from './traces';
import { closeView, listViews, openViews } from './views';
import { addVolume, getVolume, listVolumes, removeVolume, setVolumeHooks } from './volumes';

/** All REST operations of the configuration server, by operation id. */
export const restRoutes = {
  addHost, listHosts, listComponents, addVolume, listVolumes, getVolume, setVolumeHooks, removeVolume,
  issueEnrolmentToken, listEnrolmentTokens, enrol, renewCertificate,
  createPlan, listPlans, getPlanStatus, getPlanHistory, changePlan, addPlanVolumes, pausePlan, resumePlan, removePlan,
  listPoints, createBookmark, openViews, listViews, closeView,
  traceVolume, getStatus, listEvents, rebuildReadModels, getOpenApi,
} as const;
export type RestRoutes = typeof restRoutes;
