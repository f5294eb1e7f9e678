import { createTheme, Modal } from '@mantine/core';

/**
 * What cannot be said in CSS. Colours are in app.css: variables made here would need an inline style. Locking the
 * scroll of the page behind a dialogue would need one too.
 */
export const theme = createTheme({
  components: {
    Modal: Modal.extend({
      defaultProps: { lockScroll: false, centered: false, transitionProps: { duration: 80 } },
    }),
  },
});
