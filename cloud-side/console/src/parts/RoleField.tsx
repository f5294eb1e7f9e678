/** Choosing a role by what it may do. */
import { Radio } from '@mantine/core';
import type { Role } from '../api/types';
import { permissionsOf, ROLE_ORDER } from '../states/access';
import { useWords } from '../words/words';

interface Props {
  value: Role;
  onChange: (role: Role) => void;
}

export function RoleField({ value, onChange }: Props) {
  const { t } = useWords();
  return (
    <Radio.Group value={value} onChange={(next) => onChange(next as Role)} label={t('access.role')}>
      <div className="choices is-column">
        {ROLE_ORDER.map((role) => (
          <Radio.Card key={role} value={role} className="choice">
            <Radio.Indicator />
            <div>
              <strong>{t(`role.${role}`)}</strong>
              <p className="quiet small">
                {role === 'admin'
                  ? t('access.everything')
                  : [t('permission.read'), ...permissionsOf(role).map((may) => t(`permission.${may}`))].join(
                      t('access.and'),
                    )}
              </p>
            </div>
          </Radio.Card>
        ))}
      </div>
    </Radio.Group>
  );
}
