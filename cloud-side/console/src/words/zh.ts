/** Chinese, with the words of docs/glossary.md. A key that is missing does not compile. */
import type { Key } from './en';
import { access } from './zh/access';
import { alert } from './zh/alert';
import { audit } from './zh/audit';
import { common } from './zh/common';
import { drill } from './zh/drill';
import { group } from './zh/group';
import { line } from './zh/line';
import { move } from './zh/move';
import { overview } from './zh/overview';
import { plan } from './zh/plan';
import { report } from './zh/report';
import { restore } from './zh/restore';
import { settings } from './zh/settings';
import { states } from './zh/states';

export const zh: Record<Key, string> = {
  ...common,
  ...access,
  ...alert,
  ...audit,
  ...states,
  ...group,
  ...drill,
  ...move,
  ...report,
  ...restore,
  ...overview,
  ...settings,
  ...plan,
  ...line,
};
