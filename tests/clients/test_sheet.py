"""The exported PDF, checked by a PDF/UA-1 validator that passes veraPDF's own corpus."""

import statistics
import subprocess
import tempfile
import time
import unittest

import page

from portal import Manager, Portal

LONG = "Syndicat intercommunal à vocation multiple de l’assainissement et des eaux du Cœur d’Ouest "


class Sheet(unittest.TestCase):
    def test_the_sheet_is_accessible_sound_and_small(self):
        with Portal() as portal:
            manager = Manager(portal)
            structure = manager.structure()[0]
            self.judge(manager, structure, "Logiciel comptable")
            portal.sql(f"UPDATE structures SET designation = '{(LONG * 3)[:250]}', address_line = '{(LONG * 3)[:250]}' WHERE id = {structure}")
            self.judge(manager, structure, "Progiciel de gestion financière et comptable, à l’œuvre dès 2027 " + "é" * 30)

    def test_the_sheets_of_a_batch_are_accessible_and_sound(self):
        with Portal() as portal:
            sheets, accounts = Manager(portal).sheets_of_all("Logiciel comptable")
            self.assertGreater(accounts, 280)
            # 38 accounts on each page of the cover.
            self.assertEqual(self.accessible_pages(sheets), -(-accounts // 38) + accounts)
            self.assertLess(len(sheets), 2_000_000)

    def accessible_pages(self, document):
        """How many pages the document has, which holds every rule."""
        self.assertTrue(document.startswith(b"%PDF-"))
        report = page.validate_pdf_bytes(document, profile="ua1")
        print(f"{report.rules.passed} of {report.rules.total} rules of PDF/UA-1 hold")
        self.assertEqual([(failure.rule_id, failure.message) for failure in report.failures], [])
        self.assertTrue(report.is_compliant)
        self.assertGreater(report.rules.total, 100)
        with tempfile.NamedTemporaryFile(suffix=".pdf") as file:
            file.write(document)
            file.flush()
            subprocess.run(["qpdf", "--check", file.name], check=True, stdout=subprocess.DEVNULL)
        return report.document.page_count

    def judge(self, manager, structure, label):
        account = manager.create(structure, label)[0]
        times = []
        for _ in range(10):
            start = time.perf_counter()
            sheet = manager.sheet(account)
            times.append(1000 * (time.perf_counter() - start))
        print(f"\n{label:.20}: {len(sheet)} bytes, {statistics.median(times):.1f} ms a request in this build")
        self.assertEqual(self.accessible_pages(sheet), 1)
        self.assertLess(len(sheet), 60_000)
        # The validator refuses a broken file.
        self.assertFalse(page.is_pdf_compliant_bytes(sheet.replace(b"pdfuaid:part", b"pdfuaid:port"), profile="ua1"))


if __name__ == "__main__":
    unittest.main(verbosity=2)
