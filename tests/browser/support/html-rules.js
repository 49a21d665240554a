// How strictly the HTML is validated: by all that html-validate recommends, less what is said here.

export default {
  root: true,
  extends: ["html-validate:recommended", "html-validate:document", "html-validate:a11y"],
  rules: {
    // Our own files alone, and their URLs hold a hash of their content already.
    "require-sri": ["error", { target: "crossorigin" }],
    // Titles end with names that people gave, of up to 250 characters; what tells pages apart comes first.
    "long-title": "off",
  },
};
