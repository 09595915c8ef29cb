"""How do files and links become media ids of Meta, once for each number and content?"""
