/** Why the role of who is signed in does not allow something, in words; null when it does. */
import type { Operation } from '../api/access';
import { useSession } from '../api/signedIn';
import type { Role } from '../api/types';
import { lackFor } from '../states/permission';
import { useWords } from '../words/words';

export function useRefusal(): (...operations: readonly Operation[]) => string | null {
  const { t } = useWords();
  const session = useSession();
  return (...operations) => {
    const lack = lackFor(session, ...operations);
    if (!lack) return null;
    return t('may.refused', {
      role: t(`role.${session.role}`),
      permission: t(`permission.${lack.permission}`),
      roles: lack.roles.map((role: Role) => t(`role.${role}`)).join(t('may.or')),
    });
  };
}
