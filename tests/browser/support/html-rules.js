// The rules of the HTML validator: all that html-validate recommends, except those below.

export default {
  root: true,
  extends: ["html-validate:recommended", "html-validate:document", "html-validate:a11y"],
  rules: {
    // All files are the portal's own, and their URLs have a hash of their content.
    "require-sri": ["error", { target: "crossorigin" }],
    // Titles begin with what tells pages apart, and end with names of up to 250 characters.
    "long-title": "off",
  },
};
