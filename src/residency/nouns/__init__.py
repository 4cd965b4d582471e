"""The nouns: plain frozen data that flows through the rooms, one way; one noun a file.

examples → dataset vN → train → model → responses → findings → issues → proposals → dataset vN+1
"""
