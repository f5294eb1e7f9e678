/** Addresses of pages. Names and ids come from outside, so they are escaped here and nowhere else. */
const part = encodeURIComponent;

export const toGroup = (name: string, page = '') => `/groups/${part(name)}${page ? `/${page}` : ''}`;
export const toDrill = (id: string) => `/drills/${part(id)}`;
export const toFailover = (id: string) => `/failovers/${part(id)}`;
export const toFailback = (id: string) => `/failbacks/${part(id)}`;
export const toAlert = (id: string) => `/alerts/${part(id)}`;
export const toJob = (id: string) => `/jobs/${part(id)}`;
export const toReport = (id: string) => `/reports/${part(id)}`;
export const toRestore = (id: string) => `/restores/${part(id)}`;

/** The page of the failover, failback or restore with this id; null for an id of none of them. */
export function toMaker(id: string): string | null {
  if (id.startsWith('fov-')) return toFailover(id);
  if (id.startsWith('fbk-')) return toFailback(id);
  return id.startsWith('rst-') ? toRestore(id) : null;
}
export const toPlan = (name: string, page = '') => `/plans/${part(name)}${page ? `/${page}` : ''}`;
/** Not under `/plans/`, where a plan could have the name. */
export const NEW_PLAN = '/new-plan';
export const toPlanRun = (id: string) => `/plan-runs/${part(id)}`;
